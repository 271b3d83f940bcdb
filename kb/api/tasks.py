"""Background jobs of REST, thin: each makes one call."""

from __future__ import annotations

from celery import shared_task

from kb.api import idempotency


@shared_task(name="kb.api.tasks.forget_old_requests")
def forget_old_requests() -> None:
    """Drop the answers that were kept for requests sent again, once nobody may ask for them any more."""
    idempotency.forget_old()
