"""From the outbox to an engine: plan what each changed incident needs, then do it.

A consumer is one engine reading its own outbox entries. The plan is a pure function that names the outcome per
incident; the engine's own comparison of versions makes a repeated or late run harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from incidents import consume, outbox
from incidents.models import Incident
from kb.search.document import build_many
from kb.search.engine import Engine, Unavailable
from kb.search.engines import Consumer, consumers

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What an engine has to do about one incident."""

    INDEX = "index"
    REMOVE = "remove"
    NOTHING = "nothing"
    # The engine knows a later version than the record: the record was restored from a backup.
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class State:
    """An incident as the record has it; `version` None: no such row."""

    version: int | None
    is_deleted: bool = False


def plan(state: State, indexed_version: int | None) -> Outcome:
    """What to do, given the record's state and the version that the engine holds (None: no document)."""
    if state.version is None or state.is_deleted:
        return Outcome.REMOVE if indexed_version is not None else Outcome.NOTHING
    if indexed_version is None or indexed_version < state.version:
        return Outcome.INDEX
    return Outcome.AHEAD if indexed_version > state.version else Outcome.NOTHING


def states(incident_ids: Iterable[int] | None = None) -> dict[int, State]:
    """The record's state of these incidents, or of all; ids without a row are missing from it."""
    rows = Incident.objects.values_list("pk", "index_version", "deleted_at")
    if incident_ids is not None:
        rows = rows.filter(pk__in=list(incident_ids))
    return {pk: State(version, deleted is not None) for pk, version, deleted in rows}


def run_once(consumer: Consumer) -> int:
    """Bring one engine up to date with one batch of its entries; returns how many incidents that was about."""
    return consume.run_once(consumer.name, lambda ids: _carry_out(consumer.engine, ids))


def _carry_out(engine: Engine, incident_ids: list[int]) -> dict[int, str]:
    """Index what is there, remove what is not. The row and its version are read before anything that hangs on it."""
    known = states(incident_ids)
    here = [pk for pk in incident_ids if pk in known and not known[pk].is_deleted]
    documents = build_many(here)
    gone = {pk: known[pk].version or 0 if pk in known else 0 for pk in incident_ids if pk not in documents}
    refused = engine.index(list(documents.values())) if documents else {}
    if gone:
        engine.remove(gone)
    return refused


def drain(*, progress: Callable[[int], None] | None = None) -> int:
    """Work until no entry is due; returns how many incidents were handled. What waits for its next try stays."""
    handled = 0
    for consumer in consumers():
        while count := run_once(consumer):
            handled += count
            if progress:
                progress(count)
    return handled


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

    An engine that is ahead of the record cannot be repaired so, because it keeps the later version; its caller makes
    a new generation. An engine that cannot be reached is left for the next audit.
    """
    found: dict[str, dict[int, Outcome]] = {}
    for consumer in consumers():
        try:
            found[consumer.name] = differences(consumer.engine.versions())
        except Unavailable as error:
            log.warning("audit.unreachable", consumer=consumer.name, error=str(error))
            continue
        if found[consumer.name]:
            log.warning("audit.differs", consumer=consumer.name, incidents=len(found[consumer.name]))
    differing = sorted({pk for outcomes in found.values() for pk in outcomes})
    if differing:
        outbox.enqueue_again(differing)
    return Finding(found)


def differences(indexed: dict[int, int]) -> dict[int, Outcome]:
    """What in an index, given as {incident_id: index_version}, is not as the record has it."""
    known = states()
    found: dict[int, Outcome] = {}
    for pk in known.keys() | indexed.keys():
        outcome = plan(known.get(pk, State(None)), indexed.get(pk))
        if outcome is not Outcome.NOTHING:
            found[pk] = outcome
    return found
