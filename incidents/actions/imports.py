"""Writes a whole postmortem at once and publishes it, for importers and the loader of famous outages.

The incident becomes exactly the given content, in one transaction, and a mark among the audit entries stores a digest
of that content. The next run compares digests instead of texts, and detects what people changed after the mark.
A postmortem that was reopened where it comes from is published first, and then gets its draft in the same way.
Not for people's own edits: nothing here checks for concurrent saves. Importers lock the incident and check first.
"""

from __future__ import annotations

import hashlib
import json
import uuid as uuids
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from incidents import scopes
from incidents.actions.change import LEADS_ONLY, Change, changing
from incidents.actions.incidents import apply_facts, create_incident
from incidents.actions.lifecycle import back_to_draft, write_revision
from incidents.actions.organizations import change_organization, create_organization
from incidents.actions.sections import ROWS_PER_KIND, check_done_at, save_sections, set_texts
from incidents.actions.size import check_size
from incidents.document import relation
from incidents.errors import Invalid, field_prefix
from incidents.models import AuditEntry, Incident, Organization, PostmortemSection, PostmortemTemplate, Row, User
from incidents.records import KINDS, Kind, People
from incidents.scopes import Viewer
from incidents.template import section_plans
from incidents.text import NAME_CHARACTERS, clean
from incidents.vocabulary import Status


@dataclass(frozen=True, slots=True)
class SectionText:
    """Prose, or the reason why a records section has no rows."""

    body: str = ""
    none_reason: str = ""


@dataclass(frozen=True, slots=True)
class RowText:
    """One record, with its current or future id."""

    uuid: uuids.UUID
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """A whole postmortem. `facts` has keys of FACTS. Sections and kinds of rows that are not named become empty."""

    facts: Mapping[str, Any]
    sections: Mapping[str, SectionText] = field(default_factory=dict)
    rows: Mapping[str, Sequence[RowText]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last write of an incident by an importer or loader: the id of its audit entry, and digests of what it wrote
    and of the part that it published."""

    entry: int
    digest: str
    published: str = ""


def digest_of(content: Any) -> str:
    """A digest of the content that does not depend on the order of keys."""
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)


def write_published(
    *,
    actor: Viewer,
    content: Content,
    mark: str,
    digest: str,
    incident_id: int | None = None,
    origin: str = "",
    external_id: str | None = None,
    uuid: uuids.UUID | None = None,
    template: PostmortemTemplate,
    note: str = "",
) -> Incident:
    """Create an incident with exactly this content, or change an existing one to it, and publish it.

    `template` is the current version of its key. Raises what creating, changing and publishing raise.
    """
    with transaction.atomic():
        is_new = incident_id is None
        if incident_id is None:
            incident_id = create_incident(
                actor=actor,
                facts=content.facts,
                origin=origin,
                external_id=external_id,
                uuid=uuid,
                template_key=template.key,
            ).pk
        with changing(
            actor, incident_id, permission=scopes.may_lead, refusal=LEADS_ONLY, states=tuple(Status)
        ) as change:
            if not is_new:
                apply_facts(change, content.facts)
                _apply_template(change, template)
            _rewrite(change, content, is_new=is_new)
            write_revision(change, note)
            change.record(mark, digest=digest)
    return change.incident


def write_draft(
    *,
    actor: Viewer,
    content: Content,
    mark: str,
    digest: str,
    published: str,
    incident_id: int,
    template: PostmortemTemplate,
) -> Incident:
    """Reopen a published incident, unless it is a draft already, and make its working copy exactly this content.
    Readers keep the published revision.

    `digest` covers everything that was imported, `published` what the published revision was made from. Raises what
    reopening and changing raise.
    """
    with changing(
        actor, incident_id, permission=scopes.may_lead, refusal=LEADS_ONLY, states=(Status.PUBLISHED, Status.DRAFT)
    ) as change:
        if change.incident.status != Status.DRAFT:
            back_to_draft(change)
        apply_facts(change, content.facts)
        _apply_template(change, template)
        _rewrite(change, content, is_new=False)
        change.record(mark, digest=digest, published=published)
    return change.incident


def lock_imports(actor: Viewer) -> None:
    """Make concurrent importers and loaders write one after the other. The second one blocks here until the transaction
    of the first one ends, and then sees what it wrote."""
    User.objects.select_for_update(no_key=True).get(pk=actor.person_id)


def ensure_organization(actor: Viewer, description: Mapping[str, Any]) -> None:
    """Create the organization unless it exists, and fill in its website and sector where they are empty."""
    name = clean(
        "organization", description.get("name"), max_characters=NAME_CHARACTERS, required=True, single_line=True
    )
    values = {"website": description.get("website") or "", "sector": description.get("sector") or ""}
    found = Organization.objects.filter(name__called=name).first()
    missing = {key: value for key, value in values.items() if value and not getattr(found, key, "")}
    with field_prefix("organization"):
        if found is None:
            create_organization(actor=actor, name=name, website=values["website"], sector=values["sector"])
        elif missing:
            change_organization(actor=actor, organization_id=found.pk, values=missing)


def last_marks(mark: str, incident_ids: Iterable[int]) -> dict[int, Mark]:
    """The last mark of each of these incidents that has one."""
    entries = AuditEntry.objects.filter(action=mark, incident__in=list(incident_ids)).order_by("pk")
    return {
        incident_id: Mark(pk, digest := change.get("digest", ""), change.get("published", digest))
        for pk, incident_id, change in entries.values_list("pk", "incident_id", "change")
    }


def changed_by_people(marks: Mapping[int, Mark]) -> set[int]:
    """The incidents among these that a user other than the system changed after their mark, in something that another
    write would overwrite."""
    entries = AuditEntry.objects.filter(incident__in=list(marks)).exclude(actor__is_system=True)
    # A write does not touch tags, nor links that were added or changed. It would restore a link that was removed.
    entries = entries.exclude(object_type="tag").exclude(action__in=("link.added", "link.changed"))
    return {pk for pk, entry in entries.values_list("incident_id", "pk") if entry > marks[pk].entry}


def published_since(marks: Mapping[int, Mark]) -> set[int]:
    """The incidents among these that were published again after their mark."""
    entries = AuditEntry.objects.filter(incident__in=list(marks), action="incident.published")
    return {pk for pk, entry in entries.values_list("incident_id", "pk") if entry > marks[pk].entry}


def _apply_template(change: Change, template: PostmortemTemplate) -> None:
    """Change the incident to the content's template. Sections that this template does not have are deleted."""
    incident = change.incident
    if incident.template_id == template.pk:
        return
    incident.template = template
    planned = {section.key for section in section_plans(template)}
    incident.sections.exclude(key__in=planned).delete()
    existing = set(incident.sections.values_list("key", flat=True))
    PostmortemSection.objects.bulk_create(PostmortemSection(incident=incident, key=key) for key in planned - existing)
    change.record("incident.template_changed", key=template.key, number=template.number)


def _rewrite(change: Change, content: Content, *, is_new: bool) -> None:
    """Write the sections and rows. The incident must have the content's template already."""
    sections = _write_sections(change, content.sections)
    rows = {
        kind.name: _write_rows(change, kind, content.rows.get(kind.name, ()), none_yet=is_new)
        for kind in KINDS.values()
    }
    if sections or any(rows.values()):
        change.record("incident.rewritten", sections=sections, rows={k: n for k, n in rows.items() if n})
    check_size(change.incident)


def _write_sections(change: Change, wanted: Mapping[str, SectionText]) -> list[str]:
    """Returns the keys of the sections that changed."""
    existing = {section.key: section for section in change.incident.sections.all()}
    if unknown := set(wanted) - set(existing):
        raise Invalid({f"sections.{min(unknown)}": "The template has no such section."})
    changed = [
        section
        for key, section in existing.items()
        if set_texts(change, section, **asdict(wanted.get(key, SectionText())))
    ]
    save_sections(changed)
    return [section.key for section in changed]


def _write_rows(change: Change, kind: Kind, wanted: Sequence[RowText], *, none_yet: bool) -> dict[str, int]:
    """Rows are matched by id: existing ones are changed where they differ, new ones added, the rest deleted."""
    if len(wanted) > ROWS_PER_KIND:
        raise Invalid({kind.name: f"This can have at most {ROWS_PER_KIND:,} rows; it has {len(wanted):,}."})
    stored = getattr(change.incident, relation(kind.name)).prefetch_related(*kind.person_fields)
    rows: Iterable[Row] = () if none_yet else stored
    existing = {row.uuid: row for row in rows}
    people = kind.people(item.values for item in wanted)
    problems: dict[str, list[str]] = {}
    added: list[Row] = []
    changed: list[Row] = []
    for place, item in enumerate(wanted):
        try:
            columns = {**_empty(kind), **_read(change.incident, kind, place, item, people), "position": place}
        except Invalid as error:
            problems.update(error.fields)
            continue
        row = existing.pop(item.uuid, None)
        if row is None:
            added.append(kind.model(incident=change.incident, uuid=item.uuid, **columns))
        elif differing := {name: value for name, value in columns.items() if getattr(row, name) != value}:
            for name, value in differing.items():
                setattr(row, name, value)
            row.version += 1
            changed.append(row)
    if problems:
        raise Invalid(problems)
    manager = kind.model._default_manager
    if existing:
        manager.filter(pk__in=[row.pk for row in existing.values()]).delete()
    manager.bulk_create(added)
    for row in changed:
        row.save()
    counts = {"added": len(added), "changed": len(changed), "removed": len(existing)}
    return {name: count for name, count in counts.items() if count}


def _read(incident: Incident, kind: Kind, place: int, item: RowText, people: People) -> dict[str, Any]:
    path = f"{kind.name}.{place}."
    columns = kind.read(path, dict(item.values), zone=incident.time_zone, partial=False, people=people)
    check_done_at(columns, path)
    return columns


def _empty(kind: Kind) -> dict[str, Any]:
    """The defaults of the optional fields, so that rewriting a row clears those that are not given."""
    return {
        field.stored_in: kind.model._meta.get_field(field.stored_in).get_default()  # type: ignore[union-attr]
        for field in kind.fields
        if not field.required
    }
