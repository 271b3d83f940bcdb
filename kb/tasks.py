"""Background jobs, thin: each makes one or two calls. A lost one is made up for by the schedule in the settings."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task

from kb.patterns import retagging, tagging
from kb.search import rebuild
from kb.search import relay as search_relay
from kb.search.elastic import engine as elastic


@shared_task(name="kb.tasks.relay")
def relay() -> int:
    """Bring tags and every engine up to date with the outbox. What was tagged is then indexed with its tags; a long
    line of incidents to tag holds no engine up."""
    handled = 0
    while count := tagging.run_once() + search_relay.drain():
        handled += count
    return handled


# Seconds that one worker spends on asking changed rules before it is free for other work. The schedule sends the next
# before they are over, so that two workers share a long round.
SHIFT = 25


@shared_task(name="kb.tasks.retag")
def retag() -> int:
    """Ask rules that changed about every incident. A worker with older rules leaves it to those that have the new."""
    with suppress(tagging.OtherRules):
        return retagging.work(seconds=SHIFT)
    return 0


@shared_task(name="kb.tasks.check_tags")
def check_tags() -> int:
    """Have incidents tagged again whose tags are not what the rules say; returns how many."""
    with suppress(tagging.OtherRules):
        return len(tagging.check_consistency())
    return 0


@shared_task(name="kb.tasks.audit_index")
def audit_index() -> dict[str, int]:
    """Compare the engines with the record and repair what differs; an index ahead of the record is built anew."""
    finding = search_relay.audit()
    if elastic.CONSUMER in finding.consumers_ahead:
        with suppress(rebuild.AtWork):
            rebuild.rebuild()
    return {consumer: len(outcomes) for consumer, outcomes in finding.by_consumer.items()}
