"""Writes outage files to incidents of origin famous, as the system user. They are published immediately, and only
what changed is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction

from incidents import template
from incidents.actions import lifecycle
from incidents.actions.imports import Mark, digest_of, ensure_organization, last_marks, lock_imports, write_published
from incidents.actions.links import add_link, remove_link
from incidents.document import relation
from incidents.models import AuditEntry, Incident, IncidentLink
from incidents.outages.content import RECORDS, KnownRow, build_content, identifying_text, incident_uuid
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Status

MARK = "outage.loaded"
FOLDER_MARK = "outages.loaded"


class Outcome(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    RESTORED = "restored"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class LoadedOutage:
    """An outage that is already in the database."""

    incident_id: int
    status: str
    mark: Mark | None


def loaded_outages(**only: str) -> dict[str, LoadedOutage]:
    """The outages in the database, by the ids of their files. `only` filters by fields of the incident."""
    rows = Incident.objects.filter(origin=Origin.FAMOUS, deleted_at__isnull=True, **only)
    existing = {
        external_id: (pk, status) for external_id, pk, status in rows.values_list("external_id", "pk", "status")
    }
    marks = last_marks(MARK, [pk for pk, _ in existing.values()])
    return {key: LoadedOutage(pk, status, marks.get(pk)) for key, (pk, status) in existing.items() if key}


def decide_outcome(digest: str, existing: LoadedOutage | None) -> Outcome:
    """What to do with a file whose content has this digest."""
    if existing is None:
        return Outcome.CREATED
    if existing.mark is None or existing.mark.digest != digest:
        return Outcome.CHANGED
    return Outcome.RESTORED if existing.status == Status.ARCHIVED else Outcome.UNCHANGED


def load(actor: Viewer, definition: Mapping[str, Any], existing: LoadedOutage | None) -> Outcome:
    """Make the incident say what its file says. The file must be valid. Raises what the actions raise."""
    # Built without the existing rows, so that the digest depends on the file alone.
    digest = digest_of(build_content(definition))
    if decide_outcome(digest, existing) is Outcome.UNCHANGED:
        return Outcome.UNCHANGED
    with transaction.atomic():
        lock_imports(actor)
        existing = loaded_outages(external_id=definition["id"]).get(definition["id"])
        outcome = decide_outcome(digest, existing)
        if outcome is Outcome.RESTORED and existing:
            lifecycle.restore(actor=actor, incident_id=existing.incident_id)
        elif outcome is not Outcome.UNCHANGED:
            ensure_organization(actor, definition["organization"])
            write_published(
                actor=actor,
                content=build_content(definition, _rows(existing.incident_id) if existing else None),
                mark=MARK,
                digest=digest,
                incident_id=existing.incident_id if existing else None,
                origin=Origin.FAMOUS,
                external_id=definition["id"],
                uuid=incident_uuid(definition["id"]),
                template=template.standard_template(),
            )
    return outcome


def sync_links(actor: Viewer, definitions: Iterable[Mapping[str, Any]]) -> int:
    """Make the links between outages match these files; returns how many were added or removed.

    Call it after all files are loaded. A link to an outage that is not loaded is left out.
    """
    famous = Incident.objects.filter(origin=Origin.FAMOUS, deleted_at__isnull=True)
    by_id = {external_id: (pk, uuid) for external_id, pk, uuid in famous.values_list("external_id", "pk", "uuid")}
    present: dict[int, dict[tuple[str, int], IncidentLink]] = {}
    for link in IncidentLink.objects.filter(from_incident__in=famous, to_incident__in=famous):
        present.setdefault(link.from_incident_id, {})[link.kind, link.to_incident_id] = link
    count = 0
    for definition in definitions:
        if definition["id"] not in by_id:
            continue
        own, _ = by_id[definition["id"]]
        links = present.get(own, {})
        wanted = {
            (link["kind"], by_id[link["to"]][0]): link["to"] for link in definition["links"] if link["to"] in by_id
        }
        for (kind, pk), other_id in wanted.items():
            if (kind, pk) not in links:
                add_link(actor=actor, incident_id=own, kind=kind, to=str(by_id[other_id][1]))
                count += 1
        for key, link in links.items():
            if key not in wanted:
                remove_link(actor=actor, incident_id=own, link_id=link.uuid)
                count += 1
    return count


def archive_missing(actor: Viewer, existing: Mapping[str, LoadedOutage], present: Collection[str]) -> list[str]:
    """Archive incidents whose file is gone; returns their ids. `present` are the ids of all files, valid or not."""
    gone = [key for key, row in existing.items() if key not in present and row.status == Status.PUBLISHED]
    for key in gone:
        lifecycle.archive(actor=actor, incident_id=existing[key].incident_id)
    return gone


def is_loaded(fingerprint: str) -> bool:
    """Did the folder have this fingerprint when it was last loaded as a whole?"""
    last = AuditEntry.objects.filter(action=FOLDER_MARK).first()
    return last is not None and last.object_id == fingerprint


def save_fingerprint(actor: Viewer, fingerprint: str) -> None:
    """Record that the folder was loaded as a whole. Kept in the database, so that a restored one is loaded again."""
    if not is_loaded(fingerprint):
        AuditEntry.objects.create(
            actor_id=actor.user_id, action=FOLDER_MARK, object_type="outages", object_id=fingerprint
        )


def _rows(incident_id: int) -> dict[str, list[KnownRow]]:
    incident = Incident.objects.prefetch_related(*map(relation, RECORDS)).get(pk=incident_id)
    return {
        kind: [KnownRow(row.uuid, identifying_text(kind, vars(row))) for row in getattr(incident, relation(kind)).all()]
        for kind in RECORDS
    }
