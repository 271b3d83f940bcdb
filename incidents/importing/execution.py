"""Carries out the plan of an import, as the system user.

Each incident is one transaction: one that is refused leaves nothing behind, and the others are still imported. Each is
planned again under its row lock, so that changes by people or other imports since the plan are never overwritten.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Q, QuerySet

from incidents import template as templates
from incidents.actions import lifecycle
from incidents.actions.imports import (
    Content,
    RowText,
    SectionText,
    changed_by_people,
    ensure_organization,
    last_marks,
    lock_imports,
    published_since,
    write_draft,
    write_published,
)
from incidents.actions.links import add_link
from incidents.actions.organizations import create_team, save_template
from incidents.actions.sections import ROWS_PER_KIND
from incidents.addresses import page_key
from incidents.document import read, with_all_parts
from incidents.errors import ActionError, field_prefix
from incidents.export import json_document
from incidents.importing.candidates import NOT_SAID, Candidate
from incidents.importing.planning import KnownIncident, Outcome, Planned, Snapshot, plan_for_known
from incidents.models import Incident, IncidentLink, PostmortemTemplate, Source, Team, User
from incidents.records import KINDS
from incidents.scopes import Viewer
from incidents.text import clean, is_blank
from incidents.vocabulary import LinkKind, Origin, SectionKind, Visibility

MARK = "incident.imported"
NAMESPACE = uuids.UUID("0b6c4f52-6c0e-4e55-8f6e-3a7b1de2a6f4")
WRITING_OUTCOMES = (Outcome.CREATE, Outcome.DUPLICATE, Outcome.UPDATE)


@dataclass(slots=True)
class Result:
    """What became of a candidate. `incident_id` is None if it was rejected, or if it would be created in a dry run."""

    planned: Planned
    outcome: Outcome
    incident_id: int | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)


def take_snapshot() -> Snapshot:
    """Read what is here before an import."""
    incidents = _known(Incident.objects.all())
    by_page: dict[str, list[KnownIncident]] = {}
    for incident_id, *urls in Source.objects.values_list("incident_id", "url", "archive_url"):
        for key in {page_key(url) for url in urls if url}:
            by_page.setdefault(key, []).append(incidents[incident_id])
    people = User.objects.filter(is_active=True, is_system=False).values_list("email", flat=True)
    return Snapshot(
        by_identity={
            known.external_id: known for known in incidents.values() if known.is_imported and known.external_id
        },
        by_uuid={known.uuid: known for known in incidents.values()},
        by_page=by_page,
        people=frozenset(address.casefold() for address in people),
    )


def _known(incidents: QuerySet[Incident]) -> dict[int, KnownIncident]:
    """What an import needs to know about these incidents, by primary key."""
    rows = incidents.values_list("pk", "uuid", "origin", "external_id", "visibility", "deleted_at")
    found = {
        pk: KnownIncident(pk, uuid, origin, external_id, visibility, deleted_at is not None)
        for pk, uuid, origin, external_id, visibility, deleted_at in rows
    }
    imported = [pk for pk, known in found.items() if known.is_imported]
    marks = last_marks(MARK, imported)
    changed, republished = changed_by_people(marks), published_since(marks)
    for pk in imported:
        found[pk] = replace(found[pk], mark=marks.get(pk), is_changed=pk in changed, is_republished=pk in republished)
    return found


def import_candidate(actor: Viewer, planned: Planned, snapshot: Snapshot, *, dry_run: bool = False) -> Result:
    """Carry out the plan for one candidate. With `dry_run`, everything is done and then rolled back.

    So is an update that changes nothing: a file can differ from the one imported last and still say the same, such as
    the Markdown of an incident whose JSON export was imported since.
    """
    candidate = planned.candidate
    if planned.outcome not in WRITING_OUTCOMES or candidate is None:
        return _as_planned(planned)
    try:
        with transaction.atomic():
            lock_imports(actor)
            planned = _replanned(planned, candidate)
            result = _as_planned(planned)
            if planned.outcome not in WRITING_OUTCOMES:
                return result
            known_id = result.incident_id
            before = _text(actor, known_id) if known_id and planned.known and planned.known.is_as_imported else None
            result.notes = _notes(planned, candidate)
            result.incident_id = _write(actor, planned, candidate, snapshot, result.notes)
            if before is not None and before == _text(actor, result.incident_id):
                transaction.set_rollback(True)
                return _as_planned(replace(planned, outcome=Outcome.UNCHANGED))
            # The published text and its draft usually give the same notes.
            result.notes = list(dict.fromkeys(result.notes))
            transaction.set_rollback(dry_run)
    except ActionError as error:
        return Result(planned, Outcome.REJECTED, reason=error.message)
    except (DataError, IntegrityError) as error:
        return Result(
            planned, Outcome.REJECTED, reason=f"The database rejected it: {' '.join(str(error).split())[:200]}"
        )
    return replace(result, incident_id=known_id) if dry_run else result


def _as_planned(planned: Planned) -> Result:
    return Result(planned, planned.outcome, planned.known.incident_id if planned.known else None, planned.reason)


def _text(actor: Viewer, incident_id: int) -> dict[str, Any]:
    """The incident as it would be exported, whichever revision holds what readers see."""
    document = json_document(read(with_all_parts(Incident.objects.all()).get(pk=incident_id), actor))
    for part in (document, document.get("published", {})):
        part.update(revision=None, published_at=None)
    return document


def _replanned(planned: Planned, candidate: Candidate) -> Planned:
    """Plan again, holding the incident's row lock until the end of the transaction."""
    if planned.known:
        same = Q(pk=planned.known.incident_id)
    else:
        same = Q(external_id=candidate.identity) | Q(uuid=candidate.uuid)
    held = Incident.objects.filter(same, origin=Origin.IMPORTED).select_for_update(no_key=True)
    found = sorted(_known(held).values(), key=lambda known: known.external_id != candidate.identity)
    return plan_for_known(candidate, found[0], planned.requested_visibility, planned.overwrite) if found else planned


def _notes(planned: Planned, candidate: Candidate) -> list[str]:
    notes = list(candidate.notes)
    if candidate.was_unpublished:
        is_narrow = planned.visibility == Visibility.TEAM
        sees = "only its team can see it" if is_narrow else f"here it stays {planned.visibility}"
        notes.append(f"It was not published when it was exported; {sees}.")
    return notes


def add_links(
    actor: Viewer, results: Sequence[Result], snapshot: Snapshot, *, dry_run: bool = False
) -> Iterator[tuple[Result, str]]:
    """Add the links in the documents; yields a note for each link that has to be left out.

    Call it after all candidates were carried out. With `dry_run`, nothing is added.
    """
    # In a dry run, an incident may have no id. A negative number, which no incident has, takes its place.
    numbers = [
        result.incident_id or (-place if result.outcome in WRITING_OUTCOMES else None)
        for place, result in enumerate(results, 1)
    ]
    imported = {
        result.planned.candidate.uuid: number
        for result, number in zip(results, numbers, strict=True)
        if result.planned.candidate and result.planned.candidate.uuid and number
        if not (result.planned.known and result.planned.known.is_deleted)
    }
    present = set(IncidentLink.objects.values_list("from_incident", "to_incident", "kind"))
    for result, own in zip(results, numbers, strict=True):
        if own is None or result.outcome not in (*WRITING_OUTCOMES, Outcome.UNCHANGED):
            continue
        for link in result.planned.candidate.links if result.planned.candidate else ():
            known = snapshot.by_identity.get(f"precedent:{link.other}") or snapshot.by_uuid.get(link.other)
            other = imported.get(link.other) or (known.incident_id if known and not known.is_deleted else None)
            if other is None or other == own:
                if link.outward:
                    yield result, f"Its link to {link.shown_as} is left out: that incident is not here."
                continue
            # An incident of another origin is never touched, so it gets no link from it either.
            if not link.outward and other not in imported.values() and not (known and known.is_imported):
                continue
            subject, target = (own, other) if link.outward else (other, own)
            if (subject, target, link.kind) in present:
                continue
            present.add((subject, target, link.kind))
            if subject < 0 or target < 0:
                continue
            uuid = Incident.objects.values_list("uuid", flat=True).get(pk=target)
            try:
                with transaction.atomic():
                    add_link(actor=actor, incident_id=subject, kind=link.kind, to=str(uuid), note=link.note)
                    transaction.set_rollback(dry_run)
            except ActionError as error:
                yield result, f"Its link to {link.shown_as} is left out: {error.message}"


def _write(actor: Viewer, planned: Planned, candidate: Candidate, snapshot: Snapshot, notes: list[str]) -> int:
    known_id = planned.known.incident_id if planned.known else None
    if known_id is None or not planned.is_about_draft:
        with field_prefix("published") if candidate.draft else nullcontext():
            known_id = _publish(actor, planned, candidate, snapshot, notes)
    if candidate.draft:
        write_draft(
            actor=actor,
            content=_content(actor, planned, candidate.draft, known_id, candidate.draft.sections, snapshot, notes),
            mark=MARK,
            digest=candidate.digest,
            published=candidate.published_digest,
            incident_id=known_id,
            template=_template(actor, candidate.draft.template),
        )
    if candidate.is_archived:
        lifecycle.archive(actor=actor, incident_id=known_id)
    for other in planned.same_event:
        add_link(actor=actor, incident_id=known_id, kind=LinkKind.SAME_EVENT, to=str(other.uuid))
    return known_id


def _publish(actor: Viewer, planned: Planned, candidate: Candidate, snapshot: Snapshot, notes: list[str]) -> int:
    template = _template(actor, candidate.template)
    known_id = planned.known.incident_id if planned.known else None
    return write_published(
        actor=actor,
        content=_content(actor, planned, candidate, known_id, _sections(candidate, template), snapshot, notes),
        mark=MARK,
        digest=candidate.published_digest,
        incident_id=known_id,
        origin=Origin.IMPORTED,
        external_id=candidate.identity,
        template=template,
        note=f"Imported from {candidate.name}"[:500],
    ).pk


def _content(
    actor: Viewer,
    planned: Planned,
    candidate: Candidate,
    incident_id: int | None,
    sections: Mapping[str, SectionText],
    snapshot: Snapshot,
    notes: list[str],
) -> Content:
    """What to write for the candidate. Creates its organization and team if they are missing."""
    ensure_organization(actor, candidate.organization)
    facts = {**candidate.facts, "visibility": planned.visibility}
    if candidate.team is not None:
        facts["team"] = _team(actor, candidate.team, notes).slug
    is_draft = candidate is not planned.candidate
    kept = _kept_ids(planned.candidate, incident_id) if planned.candidate else {}
    rows = _rows(candidate, kept, snapshot, notes, is_draft=is_draft)
    return Content(facts, sections, rows)


def _template(actor: Viewer, wanted: Mapping[str, Any]) -> PostmortemTemplate:
    """A current template with exactly the wanted sections, preferably under the wanted key. Creates one if needed."""
    current = PostmortemTemplate.objects.filter(is_current=True)
    shape = _shape(wanted)
    same = [found for found in current if _shape(found.definition) == shape]
    if same:
        return next((found for found in same if found.key == wanted["key"]), same[0])
    templates.check(dict(wanted), field="template")
    key = wanted["key"]
    if any(found.key == key for found in current):
        # The template that has this key here has other sections and must not change.
        key = f"imported-{uuids.uuid5(NAMESPACE, str(shape)).hex[:8]}"
    return save_template(actor=actor, definition={**wanted, "key": key})


def _shape(definition: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(section["key"], section["title"], section["kind"]) for section in definition["sections"]]


def _team(actor: Viewer, described: Mapping[str, Any], notes: list[str]) -> Team:
    slug = clean("team.slug", described.get("slug"), max_characters=80, single_line=True)
    name = clean("team.name", described.get("name"), max_characters=80, required=True, single_line=True)
    found = Team.objects.filter(slug=slug).first() or Team.objects.filter(name__called=name).first()
    if found is None:
        found = create_team(actor=actor, name=name)
        notes.append(f"The team {name} is new here and has no members yet.")
    return found


def _sections(candidate: Candidate, template: PostmortemTemplate) -> dict[str, SectionText]:
    """The candidate's sections. Required ones that the source lacks get a note that the source does not say."""
    texts = dict(candidate.sections)
    for planned in templates.section_plans(template):
        text = texts.get(planned.key, SectionText())
        if not planned.required:
            continue
        if planned.kind is SectionKind.PROSE and is_blank(text.body):
            texts[planned.key] = SectionText(body=NOT_SAID)
        elif planned.kind is SectionKind.RECORDS and not candidate.rows.get(planned.key) and not text.none_reason:
            texts[planned.key] = SectionText(none_reason=NOT_SAID)
    return texts


def _kept_ids(candidate: Candidate, incident_id: int | None) -> dict[str, set[str]]:
    """The ids that rows keep, by kind: those of a document that was itself imported at its source. They are the ids
    that the first import derived, so every file of this incident, here and there, gives the same ones.

    Ids of another incident's rows are not kept: the document is a copy that was given an identity of its own.
    """
    if not candidate.was_imported:
        return {}
    kept: dict[str, set[str]] = {}
    for kind in KINDS.values():
        # Longer lists are refused when they are written.
        texts = (text.rows.get(kind.name, ())[:ROWS_PER_KIND] for text in (candidate, candidate.draft) if text)
        found = {row["id"] for rows in texts for row in rows if _is_uuid(row.get("id"))}
        elsewhere = kind.model._default_manager.filter(uuid__in=found).exclude(incident=incident_id)
        kept[kind.name] = found - {str(uuid) for uuid in elsewhere.values_list("uuid", flat=True)}
    return kept


def _is_uuid(value: Any) -> bool:
    """Is it a UUID in the form in which documents have them, which differs for different ones?"""
    try:
        return str(uuids.UUID(value)) == value
    except (ValueError, TypeError, AttributeError):
        return False


def _row_id(candidate: Candidate, kind: str, name: Any, kept: Container[str]) -> uuids.UUID:
    """The id of a row here. `name` is its id at the source, or its place if it has none."""
    if isinstance(name, str) and name in kept:
        return uuids.UUID(name)
    uuid = uuids.uuid5(NAMESPACE, f"{candidate.identity}/{kind}/{name}")
    # A new row can be in the place from which the id of a kept row was derived.
    while str(uuid) in kept:
        uuid = uuids.uuid5(NAMESPACE, str(uuid))
    return uuid


def _rows(
    candidate: Candidate,
    kept: Mapping[str, Container[str]],
    snapshot: Snapshot,
    notes: list[str],
    *,
    is_draft: bool,
) -> dict[str, list[RowText]]:
    """The rows with their ids here, which are kept or derived from those at the source, and with sources that refer to
    these ids.

    Rows with the same id in a published text and its draft are the same row, and readers see the live state of its
    action. So a row without an id must get different ids in the two.
    """
    text = "draft/" if is_draft else ""
    ids = {
        (kind, place): _row_id(candidate, kind, row.get("id") or f"{text}{place}", kept.get(kind, ()))
        for kind in KINDS
        for place, row in enumerate(candidate.rows.get(kind, ()))
    }
    new_id = {
        row["id"]: str(ids[kind, place])
        for kind in KINDS
        for place, row in enumerate(candidate.rows.get(kind, ()))
        if isinstance(row.get("id"), str)
    }
    rows: dict[str, list[RowText]] = {}
    for (kind, place), uuid in ids.items():
        values = {name: value for name, value in candidate.rows[kind][place].items() if name != "id"}
        owner = values.get("owner")
        if kind == "actions" and owner and str(owner).casefold() not in snapshot.people:
            values["owner"] = None
            notes.append(f"No account here has the address {str(owner)[:100]}; action {place + 1} has no owner.")
        if kind == "sources" and isinstance(values.get("supports"), list):
            values["supports"] = [
                new_id.get(name, name) if isinstance(name, str) else name for name in values["supports"]
            ]
        rows.setdefault(kind, []).append(RowText(uuid, values))
    return rows
