"""Decides what to do with each candidate: a pure function of what the files say and what is here."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from incidents.actions.imports import Mark
from incidents.importing.candidates import Candidate, Rejected
from incidents.vocabulary import Origin, Visibility


class Outcome(StrEnum):
    CREATE = "created"
    # The same event exists here under another origin. A new incident is created and linked to it.
    DUPLICATE = "created alongside one of another origin"
    UPDATE = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An incident that is here. `mark` is the last write by an import, `is_changed` whether a person changed it after
    that, and `is_republished` whether it was published after that."""

    incident_id: int
    uuid: uuids.UUID
    origin: str
    external_id: str | None = None
    visibility: str = Visibility.INTERNAL.value
    is_deleted: bool = False
    mark: Mark | None = None
    is_changed: bool = False
    is_republished: bool = False

    @property
    def is_imported(self) -> bool:
        return self.origin == Origin.IMPORTED

    @property
    def is_as_imported(self) -> bool:
        """Is it still as the last import left it?"""
        return self.mark is not None and not self.is_changed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is here before the import. `by_page` has the page keys of sources; `people` are case-folded addresses."""

    by_identity: Mapping[str, KnownIncident] = field(default_factory=dict)
    by_uuid: Mapping[uuids.UUID, KnownIncident] = field(default_factory=dict)
    by_page: Mapping[str, Sequence[KnownIncident]] = field(default_factory=dict)
    people: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do with one candidate.

    `known` is the incident to update or keep; `same_event` are incidents of other origins to link a new one to.
    `requested_visibility` and `overwrite` are the options of the import, kept for planning again under the row lock.
    """

    outcome: Outcome
    name: str
    candidate: Candidate | None = None
    known: KnownIncident | None = None
    visibility: str = Visibility.INTERNAL.value
    same_event: tuple[KnownIncident, ...] = ()
    reason: str = ""
    requested_visibility: str | None = None
    overwrite: bool = False

    @property
    def is_about_draft(self) -> bool:
        """Is the text to publish already published, so that only its draft has to be written? Publishing it again would
        give readers a revision equal to the previous one."""
        if not (self.candidate and self.candidate.draft and self.known and self.known.mark):
            return False
        return self.known.mark.published == self.candidate.published_digest and not self.known.is_republished


def plan(
    candidates: Sequence[Candidate | Rejected],
    snapshot: Snapshot,
    *,
    visibility: str | None = None,
    overwrite: bool = False,
) -> list[Planned]:
    """One plan per candidate, in order. `visibility` applies to the candidates that were published at the source."""
    pages_with_uuid: dict[str, str] = {}
    for candidate in candidates:
        if isinstance(candidate, Candidate) and not candidate.by_page:
            for page in candidate.pages:
                pages_with_uuid.setdefault(page, candidate.name)
    names: dict[str, str] = {}
    planned = []
    for candidate in candidates:
        if isinstance(candidate, Rejected):
            planned.append(Planned(Outcome.REJECTED, candidate.name, reason=candidate.reason))
            continue
        reason = _duplicate_reason(candidate, names, pages_with_uuid)
        names.setdefault(candidate.identity, candidate.name)
        planned.append(
            Planned(Outcome.REJECTED, candidate.name, reason=reason)
            if reason
            else _plan_one(candidate, snapshot, visibility, overwrite)
        )
    return planned


def _duplicate_reason(candidate: Candidate, names: Mapping[str, str], pages_with_uuid: Mapping[str, str]) -> str:
    """Why this duplicates another candidate of the same import; empty if it does not."""
    if candidate.identity in names:
        return f"It is the same postmortem as {names[candidate.identity]}."
    if candidate.by_page and (other := next(filter(None, map(pages_with_uuid.get, candidate.pages)), None)):
        return f"It has no uuid, and {other} has the same url."
    return ""


def _plan_one(candidate: Candidate, snapshot: Snapshot, requested_visibility: str | None, overwrite: bool) -> Planned:
    if candidate.was_unpublished:
        requested_visibility = None
    matches = _matches(candidate, snapshot)
    if len(matches) > 1:
        reason = "It has no uuid, and its url belongs to several imported incidents."
        return Planned(Outcome.REJECTED, candidate.name, reason=reason)
    if not matches:
        others = _same_event(candidate, snapshot)
        return Planned(
            Outcome.DUPLICATE if others else Outcome.CREATE,
            candidate.name,
            candidate,
            visibility=requested_visibility or candidate.visibility or Visibility.INTERNAL,
            same_event=others,
            requested_visibility=requested_visibility,
            overwrite=overwrite,
        )
    return plan_for_known(candidate, matches[0], requested_visibility, overwrite)


def plan_for_known(
    candidate: Candidate, known: KnownIncident, requested_visibility: str | None, overwrite: bool
) -> Planned:
    """Plan for a candidate that is this imported incident."""
    is_same = known.mark is not None and known.mark.digest == candidate.digest
    visibility = requested_visibility or (known.visibility if is_same else candidate.visibility or known.visibility)

    def with_outcome(outcome: Outcome, reason: str = "") -> Planned:
        return Planned(
            outcome,
            candidate.name,
            candidate,
            known,
            visibility=visibility,
            reason=reason,
            requested_visibility=requested_visibility,
            overwrite=overwrite,
        )

    if known.is_deleted:
        return with_outcome(Outcome.KEPT, "It was deleted here.")
    if not known.is_as_imported and not overwrite:
        return with_outcome(
            Outcome.KEPT, "It was changed here after the last import. Use --overwrite to replace the changes."
        )
    if is_same and visibility == known.visibility and known.is_as_imported:
        return with_outcome(Outcome.UNCHANGED)
    return with_outcome(Outcome.UPDATE)


def _matches(candidate: Candidate, snapshot: Snapshot) -> list[KnownIncident]:
    """The imported incidents that this candidate can be: by its identity or uuid, or, if it has no uuid, by its url."""
    if known := snapshot.by_identity.get(candidate.identity):
        return [known]
    if candidate.uuid and (known := snapshot.by_uuid.get(candidate.uuid)) and known.is_imported:
        return [known]
    if not candidate.by_page:
        return []
    source = candidate.identity.partition(":")[0]
    found = {
        known.incident_id: known
        for page in candidate.pages
        for known in snapshot.by_page.get(page, ())
        if known.is_imported and not known.is_deleted and (known.external_id or "").startswith(f"{source}:")
    }
    return list(found.values())


def _same_event(candidate: Candidate, snapshot: Snapshot) -> tuple[KnownIncident, ...]:
    """Incidents of another origin about the same event: the same uuid, or the same page among their sources."""
    same_uuid = snapshot.by_uuid.get(candidate.uuid) if candidate.uuid else None
    same_page = (known for page in candidate.pages for known in snapshot.by_page.get(page, ()))
    found = {
        known.incident_id: known
        for known in ([same_uuid] if same_uuid else []) + list(same_page)
        if not known.is_imported and not known.is_deleted
    }
    return tuple(found.values())
