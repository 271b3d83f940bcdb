"""From the outbox to an engine: plan what each changed incident needs, then do it.

A consumer is one engine reading its own outbox entries. What each needs is planned by kb/search/plan.py; the engine's
own comparison of versions makes a repeated or late run harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from incidents import consume, outbox
from kb.search import in_step, rebuild
from kb.search.database import engine as database
from kb.search.document import build_many
from kb.search.elastic import engine as elastic
from kb.search.engine import Unavailable
from kb.search.engines import Consumer, consumers
from kb.search.plan import Outcome, State, differences, plan, states

__all__ = ["Finding", "Outcome", "State", "audit", "differences", "drain", "plan", "run_once", "states"]

log = structlog.get_logger(__name__)


def run_once(consumer: Consumer) -> int:
    """Bring one engine up to date with one batch of its entries; returns how many incidents that was about."""
    return consume.run_once(consumer.name, lambda ids: _carry_out(consumer, ids))


def _carry_out(consumer: Consumer, incident_ids: list[int]) -> dict[int, str]:
    """Index what is there, remove what is not. The row and its version are read before anything that hangs on it."""
    known = states(incident_ids)
    here = [pk for pk in incident_ids if pk in known and not known[pk].is_deleted]
    documents = build_many(here)
    gone = {pk: known[pk].version or 0 if pk in known else 0 for pk in incident_ids if pk not in documents}
    refused = consumer.engine.index(list(documents.values())) if documents else {}
    if gone:
        consumer.engine.remove(gone)
    # With the entries of a narrowing goes its exclusion from searches, so none may see the old document any more.
    if outbox.narrowing_ids(consumer.name, among=incident_ids):
        consumer.engine.refresh()
    return refused


def drain(*, progress: Callable[[int], None] | None = None) -> int:
    """Work until no entry is due; returns how many incidents were handled. What waits for its next try stays.

    The engines take turns, so that one which is slow does not keep the others from their work.
    """
    _take_in()
    handled = 0
    while count := sum(_turn(consumer) for consumer in consumers()):
        handled += count
        if progress:
            progress(count)
    return handled


def _turn(consumer: Consumer) -> int:
    if consumer.name == elastic.CONSUMER:
        rebuild.ensure()
    return run_once(consumer)


def _take_in() -> None:
    """Compare engines that were not told of every change with the record; from then on they answer searches. The
    database's own has been told of everything since the record began."""
    engines = {consumer.name: consumer for consumer in consumers() if consumer.name != database.CONSUMER}
    for name in in_step.missing(engines):
        if name == elastic.CONSUMER and not rebuild.ensure():
            continue
        try:
            # What waits from before is no excuse: it was not told of what came after.
            found = _repair(engines[name], but=set())
        except Unavailable as error:
            log.warning("relay.not_in_step", consumer=name, error=str(error))
            continue
        in_step.add(name)
        log.info("relay.in_step", consumer=name, incidents=len(found))


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found: per consumer, the incidents that differ from the record, and what each needs."""

    by_consumer: dict[str, dict[int, Outcome]]

    @property
    def consumers_ahead(self) -> list[str]:
        """Those that hold documents newer than the record: it was restored from a backup, and they need a new start."""
        return [name for name, outcomes in self.by_consumer.items() if Outcome.AHEAD in outcomes.values()]


def audit() -> Finding:
    """Compare every engine with the record, and repair by enqueueing: there is only one way of writing to an index.

    What waits in the outbox is on its way and no difference. An engine that is ahead of the record cannot be repaired
    so, because it keeps the later version; its caller makes a new generation. An engine that cannot be reached is left
    for the next audit. What differs is found by nobody until it is repaired.
    """
    found: dict[str, dict[int, Outcome]] = {}
    for consumer in consumers():
        try:
            # Read before the index: what is delivered in between is then taken for what it was.
            found[consumer.name] = _repair(consumer, but=outbox.waiting_ids(consumer.name))
        except Unavailable as error:
            log.warning("audit.unreachable", consumer=consumer.name, error=str(error))
            continue
        if found[consumer.name]:
            log.warning("audit.differs", consumer=consumer.name, incidents=len(found[consumer.name]))
    return Finding(found)


def _repair(consumer: Consumer, *, but: set[int]) -> dict[int, Outcome]:
    """Enqueue what differs, `but` for some; returns it. Raises Unavailable."""
    consumer.engine.refresh()
    indexed = consumer.engine.versions()
    found = {pk: outcome for pk, outcome in differences(indexed).items() if pk not in but}
    # Whatever changed without the index's knowledge may be what narrows access.
    stale = found.keys() & indexed.keys()
    for ids, narrows in ((stale, True), (found.keys() - stale, False)):
        if ids:
            outbox.enqueue_again(sorted(ids), consumer=consumer.name, narrows=narrows)
    return found
