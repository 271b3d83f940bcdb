"""The plan: what an engine has to do about each incident, decided by a pure comparison of versions before any write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from incidents.models import Incident


class Outcome(StrEnum):
    """What an engine has to do about one incident."""

    INDEX = "index"
    REMOVE = "remove"
    NOTHING = "nothing"
    # The engine has a later version than the record, so the record was restored from a backup.
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class State:
    """An incident's state in the record. `version` is None if there is no such row."""

    version: int | None
    is_deleted: bool = False


def plan(state: State, indexed_version: int | None) -> Outcome:
    """What to do, given the state in the record and the version that the engine has (None: no document)."""
    if state.version is None or state.is_deleted:
        return Outcome.REMOVE if indexed_version is not None else Outcome.NOTHING
    if indexed_version is None or indexed_version < state.version:
        return Outcome.INDEX
    return Outcome.AHEAD if indexed_version > state.version else Outcome.NOTHING


def states(incident_ids: Iterable[int] | None = None) -> dict[int, State]:
    """The state in the record of these incidents, or of all. Ids without a row are not in the result."""
    rows = Incident.objects.values_list("pk", "index_version", "deleted_at")
    if incident_ids is not None:
        rows = rows.filter(pk__in=list(incident_ids))
    return {pk: State(version, deleted is not None) for pk, version, deleted in rows}


def differences(indexed: Mapping[int, int]) -> dict[int, Outcome]:
    """What must be done so that an index, given as {incident_id: index_version}, equals the record."""
    known = states()
    found: dict[int, Outcome] = {}
    for pk in known.keys() | indexed.keys():
        outcome = plan(known.get(pk, State(None)), indexed.get(pk))
        if outcome is not Outcome.NOTHING:
            found[pk] = outcome
    return found
