"""Background jobs, thin: each makes one or two calls. A lost one is made up for by the schedule in the settings."""

from __future__ import annotations

from celery import shared_task

from kb.search import relay as search_relay


@shared_task(name="kb.tasks.relay")
def relay() -> int:
    """Bring every engine up to date with the outbox."""
    return search_relay.drain()


@shared_task(name="kb.tasks.audit_index")
def audit_index() -> dict[str, int]:
    """Compare the engines with the record and repair what differs."""
    return {consumer: len(outcomes) for consumer, outcomes in search_relay.audit().items()}
