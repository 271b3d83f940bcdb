"""Celery tasks of the API. Each is a single call."""

from __future__ import annotations

from celery import shared_task

from kb.api import idempotency


@shared_task(name="kb.api.tasks.forget_old_requests")
def forget_old_requests() -> None:
    """Delete stored responses whose Idempotency-Key has expired."""
    idempotency.delete_old()
