"""The relay: carries changes from the outbox to the engines, and compares the engines with the record.

A consumer is one engine that works through its own outbox entries. Each run writes the current state of the incidents
in a batch; because engines compare versions, a repeated or late run is harmless. The audit and the first comparison of
an engine use the plan in kb/search/plan.py to find what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from incidents import outbox, outbox_consumer
from kb.search import engines_in_step, rebuild
from kb.search.database import engine as database
from kb.search.document import build_many
from kb.search.elastic import engine as elastic
from kb.search.engine import Unavailable
from kb.search.engines import Consumer, consumers
from kb.search.plan import Outcome, State, differences, plan, states

__all__ = ["Finding", "Outcome", "State", "audit", "differences", "drain", "plan", "run_once", "states"]

log = structlog.get_logger(__name__)


def run_once(consumer: Consumer) -> int:
    """Bring one engine up to date with one batch of its entries. Returns the number of incidents in the batch."""
    return outbox_consumer.run_once(consumer.name, lambda ids: _index_batch(consumer, ids))


def _index_batch(consumer: Consumer, incident_ids: list[int]) -> dict[int, str]:
    """Index the incidents that exist, and remove the others. Rows and versions are read before their relations."""
    known = states(incident_ids)
    here = [pk for pk in incident_ids if pk in known and not known[pk].is_deleted]
    documents = build_many(here)
    gone = {pk: known[pk].version or 0 if pk in known else 0 for pk in incident_ids if pk not in documents}
    refused = consumer.engine.index(list(documents.values())) if documents else {}
    if gone:
        consumer.engine.remove(gone)
    # Deleting entries that narrow access ends the exclusion from searches, so the old documents must be gone by then.
    if outbox.narrowing_ids(consumer.name, among=incident_ids):
        consumer.engine.refresh()
    return refused


def drain(*, progress: Callable[[int], None] | None = None) -> int:
    """Work until no entry is due. Returns how many incidents were handled. Entries that wait for a retry are left.

    The engines take turns, so that a slow one does not hold up the others.
    """
    _bring_into_step()
    handled = 0
    while count := sum(_run_consumer(consumer) for consumer in consumers()):
        handled += count
        if progress:
            progress(count)
    return handled


def _run_consumer(consumer: Consumer) -> int:
    if consumer.name == elastic.CONSUMER:
        rebuild.ensure_generation()
    return run_once(consumer)


def _bring_into_step() -> None:
    """Compare engines that may have missed changes with the record; from then on they answer searches. The database
    engine never needs this: it has been sent every change from the beginning."""
    engines = {consumer.name: consumer for consumer in consumers() if consumer.name != database.CONSUMER}
    for name in engines_in_step.missing(engines):
        if name == elastic.CONSUMER and not rebuild.ensure_generation():
            continue
        try:
            # Do not skip incidents with waiting entries: those date from before the engine missed changes.
            found = _repair(engines[name], excluding=set())
        except Unavailable as error:
            log.warning("relay.not_in_step", consumer=name, error=str(error))
            continue
        engines_in_step.add(name)
        log.info("relay.in_step", consumer=name, incidents=len(found))


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found: for each consumer, the incidents that differ from the record and what each of them needs."""

    by_consumer: dict[str, dict[int, Outcome]]

    @property
    def consumers_ahead(self) -> list[str]:
        """Consumers with documents newer than the record: it was restored from a backup, so they must be rebuilt."""
        return [name for name, outcomes in self.by_consumer.items() if Outcome.AHEAD in outcomes.values()]


def audit() -> Finding:
    """Compare every engine with the record, and repair differences by enqueueing them: an index has one write path.

    Incidents that wait in the outbox do not count as differences. An engine that is ahead of the record cannot be
    repaired this way, because it keeps the later version; the caller has to build a new generation. An engine that
    cannot be reached is left for the next audit. Indexed incidents that differ are hidden from searches until they are
    repaired.
    """
    found: dict[str, dict[int, Outcome]] = {}
    for consumer in consumers():
        try:
            # Read before the index is: an entry delivered in between still counts as waiting.
            found[consumer.name] = _repair(consumer, excluding=outbox.waiting_ids(consumer.name))
        except Unavailable as error:
            log.warning("audit.unreachable", consumer=consumer.name, error=str(error))
            continue
        if found[consumer.name]:
            log.warning("audit.differs", consumer=consumer.name, incidents=len(found[consumer.name]))
    return Finding(found)


def _repair(consumer: Consumer, *, excluding: set[int]) -> dict[int, Outcome]:
    """Enqueue the incidents that differ, except those in `excluding`, and return them. Raises Unavailable."""
    consumer.engine.refresh()
    indexed = consumer.engine.versions()
    found = {pk: outcome for pk, outcome in differences(indexed).items() if pk not in excluding}
    # The change that the index missed may have narrowed access.
    stale = found.keys() & indexed.keys()
    for ids, narrows in ((stale, True), (found.keys() - stale, False)):
        if ids:
            outbox.enqueue_again(sorted(ids), consumer=consumer.name, narrows=narrows)
    return found
