"""Background jobs, thin: each makes one or two calls. A lost one is made up for by the schedule in the settings."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task

from kb.search import rebuild
from kb.search import relay as search_relay
from kb.search.elastic import engine as elastic


@shared_task(name="kb.tasks.relay")
def relay() -> int:
    """Bring every engine up to date with the outbox."""
    return search_relay.drain()


@shared_task(name="kb.tasks.audit_index")
def audit_index() -> dict[str, int]:
    """Compare the engines with the record and repair what differs; an index ahead of the record is built anew."""
    finding = search_relay.audit()
    if elastic.CONSUMER in finding.consumers_ahead:
        with suppress(rebuild.AtWork):
            rebuild.rebuild()
    return {consumer: len(outcomes) for consumer, outcomes in finding.by_consumer.items()}
