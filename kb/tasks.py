"""Background tasks. Each makes one or two calls, and the schedule in the settings makes up for a lost one."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task

from kb.patterns import retagging, tagging
from kb.search import rebuild
from kb.search import relay as search_relay
from kb.search.elastic import engine as elastic


@shared_task(name="kb.tasks.relay")
def relay() -> int:
    """Bring tags and every engine up to date with the outbox; returns how many incidents were handled.

    A batch is tagged, then indexed with its tags, so a long queue of incidents to tag does not hold up the engines.
    """
    handled = 0
    while count := tagging.run_once() + search_relay.drain():
        handled += count
    return handled


# Seconds that one worker spends on changed rules before it is free for other work. The schedule sends the next task
# before they are over, so that two workers share a long round.
RETAG_SECONDS = 25


@shared_task(name="kb.tasks.retag")
def retag() -> int:
    """Run changed rules on every incident; returns how many incidents were handled.

    A worker that still has older rules leaves this to workers that have the new ones.
    """
    with suppress(tagging.RulesMismatch):
        return retagging.work(seconds=RETAG_SECONDS)
    return 0


@shared_task(name="kb.tasks.check_tags")
def check_tags() -> int:
    """Have incidents whose tags differ from what the rules say tagged again; returns how many."""
    with suppress(tagging.RulesMismatch):
        return len(tagging.check_consistency())
    return 0


@shared_task(name="kb.tasks.audit_index")
def audit_index() -> dict[str, int]:
    """Compare the engines with the record and repair differences; returns the number of differences by consumer.

    An index that is ahead of the record is rebuilt.
    """
    finding = search_relay.audit()
    if elastic.CONSUMER in finding.consumers_ahead:
        with suppress(rebuild.RebuildInProgress):
            rebuild.rebuild()
    return {consumer: len(outcomes) for consumer, outcomes in finding.by_consumer.items()}
