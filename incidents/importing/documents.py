"""Reads the JSON export: one document, or a list of them.

What a document says is kept; what the exporting installation assigned, such as its number and its creation dates, is
not. A draft with a published text is read as that text, to be published, with the draft for reopening it.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from incidents import plain_json
from incidents.actions.imports import SectionText, digest_of
from incidents.document import FORMAT, LIVE_FIELDS
from incidents.errors import Invalid, field_prefix
from incidents.importing.candidates import Candidate, Link, Rejected, page_keys
from incidents.models.incident import TIMES
from incidents.records import KINDS
from incidents.scopes import UNPUBLISHED
from incidents.template import REQUIRED_TO_PUBLISH
from incidents.text import clean, clean_choice
from incidents.vocabulary import LinkKind, Origin, SectionKind, Status, Visibility

IDENTITY = "precedent"
FACTS = ("title", "severity", "detected_by", "mitigations", "planned_change", "time_zone", *TIMES, "stated_duration")
# Keys that are known but handled separately, or belong to the exporting installation.
_OTHER_KEYS = {
    "format",
    "id",
    "ref",
    "external_id",
    "origin",
    "visibility",
    "organization",
    "team",
    "services",
    "created_at",
    "status",
    "duration",
    "template",
    "sections",
    "revision",
    "published_at",
    "published",
    "links",
}


def read_all(name: str, text: str) -> Iterator[Candidate | Rejected]:
    """Yield every document in a file, or the reason why it was rejected."""
    try:
        content = plain_json.read(text)
    except plain_json.Unreadable as error:
        yield Rejected(name, f"It cannot be read as JSON. {error}")
        return
    documents = content if isinstance(content, list) else [content]
    if not documents:
        yield Rejected(name, "It contains no documents.")
    for place, document in enumerate(documents):
        own_name = name if content is document else f"{name}[{place}]"
        try:
            yield read(own_name, document)
        except Invalid as error:
            yield Rejected(own_name, error.message)


def read(name: str, document: Any) -> Candidate:
    """Raises Invalid, naming what is wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("format"), str):
        raise Invalid({"format": f"This is not a document that Precedent exported; those have the format {FORMAT}."})
    if document["format"] != FORMAT:
        raise Invalid({"format": f"Only the format {FORMAT} can be imported, not {document['format'][:40]}."})
    uuid = _uuid("id", document.get("id"))
    sections = _sections(document)
    rows = {kind: _rows(kind, document) for kind in KINDS}
    organization = _mapping("organization", document.get("organization")) or {}
    organization_name = clean("organization.name", organization.get("name"), required=True, single_line=True)
    status = clean_choice("status", document.get("status"), Status.values)
    visibility = clean_choice("visibility", document.get("visibility"), Visibility.values)
    published = _mapping("published", document.get("published"))
    notes = []
    if status == Status.IN_REVIEW and published is not None:
        notes.append("It was in review when it was exported; here it is a draft.")
    was_unpublished = status in UNPUBLISHED and published is None
    if unknown := sorted(set(document) - _OTHER_KEYS - set(FACTS) - set(KINDS)):
        notes.append(f"Unknown keys were ignored: {', '.join(unknown)[:200]}.")
    candidate = Candidate(
        name=name,
        identity=_identity(document, uuid),
        uuid=uuid,
        # Only primary sources are about this event alone; others can be shared by many incidents.
        pages=page_keys(*(str(row.get("url") or "") for row in rows["sources"] if row.get("primary") is True)),
        facts={
            **{key: document[key] for key in FACTS if key in document},
            "organization": organization_name,
            "services": document.get("services"),
        },
        organization={**organization, "name": organization_name},
        team=_mapping("team", document.get("team")),
        sections={key: text for key, (_, _, text) in sections.items()},
        rows=rows,
        template=_template(document, sections),
        # Importing publishes it, which must not show it to more people than could see the draft.
        visibility=Visibility.TEAM.value if was_unpublished else visibility,
        was_unpublished=was_unpublished,
        was_imported=_was_imported(document),
        is_archived=status == Status.ARCHIVED,
        links=tuple(_links(document)),
        notes=tuple(notes),
    )
    if published is None:
        return candidate
    if status not in UNPUBLISHED:
        raise Invalid(
            {"published": "Only a reopened document can have this key; its status must be draft or in_review."}
        )
    text = _published(name, document, published)
    notes.extend(f"published: {note}" for note in text.notes)
    return replace(text, draft=candidate, notes=tuple(notes))


def _published(name: str, document: Mapping[str, Any], text: Mapping[str, Any]) -> Candidate:
    """The published text that readers saw while the document was a draft."""
    alike = {key: document.get(key) for key in ("format", "links", *LIVE_FIELDS)}
    with field_prefix("published"):
        return read(name, {**text, **alike, "status": Status.PUBLISHED})


def _identity(document: Mapping[str, Any], uuid: uuids.UUID) -> str:
    """The external id. A document that was itself imported keeps the one from its first import."""
    if _was_imported(document):
        return clean("external_id", document["external_id"], max_characters=200, single_line=True)
    return f"{IDENTITY}:{uuid}"


def _was_imported(document: Mapping[str, Any]) -> bool:
    return document.get("origin") == Origin.IMPORTED and bool(document.get("external_id"))


def _uuid(field: str, value: Any) -> uuids.UUID:
    try:
        return uuids.UUID(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise Invalid({field: "This must be a UUID."}) from error


def _mapping(field: str, value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise Invalid({field: "This must be an object."})
    return value


def _objects(field: str, value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Invalid({field: "This must be a list of objects."})
    return value


def _sections(document: Mapping[str, Any]) -> dict[str, tuple[str, str, SectionText]]:
    """Title, kind and text of each section by key, in the order of the template."""
    found: dict[str, tuple[str, str, SectionText]] = {}
    for place, section in enumerate(_objects("sections", document.get("sections"))):
        path = f"sections.{place}"
        key = clean(f"{path}.key", section.get("key"), required=True, single_line=True)
        if key in found:
            raise Invalid({path: f"The section {key} appears twice."})
        kind = clean_choice(f"{path}.kind", section.get("kind"), SectionKind.values) or ""
        text = SectionText(
            body=clean(f"sections.{key}.body", section.get("body")),
            none_reason=clean(f"sections.{key}.none_reason", section.get("none_reason")),
        )
        found[key] = (clean(f"{path}.title", section.get("title"), required=True, single_line=True), kind, text)
    if missing := [key for key in REQUIRED_TO_PUBLISH if key not in found]:
        raise Invalid({"sections": f"These required sections are missing: {', '.join(missing)}."})
    return found


def _rows(kind: str, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = _objects(kind, document.get(kind))
    ids = [row["id"] for row in rows if isinstance(row.get("id"), str)]
    if len(set(ids)) != len(ids):
        raise Invalid({kind: "Two rows have the same id."})
    return rows


def _template(document: Mapping[str, Any], sections: Mapping[str, tuple[str, str, SectionText]]) -> dict[str, Any]:
    """A template definition with these sections, under the key of the document's own template."""
    described_template = _mapping("template", document.get("template")) or {}
    shape = [
        {"key": key, "title": title, "kind": kind, **({"records": key} if kind == SectionKind.RECORDS else {})}
        for key, (title, kind, _) in sections.items()
    ]
    key = clean("template.key", described_template.get("key"), max_characters=60, single_line=True)
    return {"key": key or f"imported-{digest_of(shape)[:8]}", "name": f"Imported {key}".strip(), "sections": shape}


def _links(document: Mapping[str, Any]) -> Iterator[Link]:
    for place, entry in enumerate(_objects("links", document.get("links"))):
        path = f"links.{place}"
        other = _mapping(f"{path}.incident", entry.get("incident")) or {}
        yield Link(
            kind=clean_choice(f"{path}.kind", entry.get("kind"), LinkKind.values) or "",
            outward=clean_choice(f"{path}.direction", entry.get("direction"), ["out", "in"]) == "out",
            other=_uuid(f"{path}.incident.id", other.get("id")),
            note=clean(f"{path}.note", entry.get("note"), max_characters=500, single_line=True),
            shown_as=clean(f"{path}.incident.ref", other.get("ref"), single_line=True)[:40] or "an incident",
        )
