"""What is read of an incident: the document, its sections and rows, its links, revisions and audit."""

from __future__ import annotations

from incidents.durations import DurationKind
from incidents.records import KINDS, MOST_NAMES, Field, Kind
from incidents.vocabulary import (
    DetectedBy,
    LinkKind,
    Mitigation,
    Origin,
    Precision,
    SectionKind,
    Severity,
    Status,
    Visibility,
)
from kb.api.shapes.parts import (
    Schema,
    array,
    choice,
    flag,
    instant,
    nullable,
    number,
    obj,
    page,
    ref,
    text,
    url,
    uuid,
    whole,
)

VERSION = whole("What If-Match compares. Shown to those who see the working copy.", least=1)
SLUGS = array(text())
REF = text("Such as INC-12.")


def row_name(kind: Kind) -> str:
    """What the shape of a kind's rows is called: TimelineEvent, Cause, ActionItem, Figure, ..."""
    return "".join(word.capitalize() for word in kind.singular.split())


def is_nullable(field: Field) -> bool:
    """Some fields show nothing as null, others as an empty text; their own writer says which."""
    if field.required or not field.nullable:
        return False
    return field.shape in ("date", "date-time", "email") or (
        field.shape in ("string", "choice") and field.write("") is None
    )


def field_shape(field: Field) -> Schema:
    shapes: dict[str, Schema] = {
        "string": text(),
        "choice": choice(field.choices),
        "date": {"type": "string", "format": "date"},
        "date-time": {"type": "string", "format": "date-time"},
        "email": {"type": "string", "format": "email"},
        "number": number(),
        "boolean": flag(),
        "strings": array(text(), most=MOST_NAMES),
    }
    return shapes[field.shape]


def _row(kind: Kind) -> Schema:
    properties: dict[str, Schema] = {"id": uuid()}
    if kind.ordered_by_time:
        properties["at"] = text("As precise as it is known: 2026-03-31T14:05+00:00, 2026-03-31, 2026.")
        properties["precision"] = choice(Precision.values)
    for field in kind.fields:
        shape = field_shape(field)
        properties[field.name] = nullable(shape) if is_nullable(field) else shape
    properties["version"] = VERSION
    # Revisions from before `done_at` was kept do not have it.
    return obj(properties, optional=["version", "done_at"])


MOMENT = nullable(
    obj({"at": text("As precise as it is known, in the incident's time zone."), "precision": choice(Precision.values)})
)
DURATION = nullable(
    obj(
        {
            "seconds": whole(),
            "kind": choice([kind.value for kind in DurationKind], "`about` stays out of statistics."),
            "text": text("As people say it: 2 h 40 min."),
        }
    )
)
TEAM_NAME = nullable(obj({"name": text(), "slug": text()}))
ORGANIZATION_NAME = obj({"name": text(), "slug": text(), "website": nullable(text()), "sector": nullable(text())})
LINKED = obj(
    {
        "id": uuid(),
        "ref": REF,
        "title": text(),
        "origin": choice(Origin.values),
        "external_id": nullable(text()),
        "organization": text(),
    }
)
PUBLISHED = {
    "revision": nullable(whole("The latest published revision.", least=1)),
    "published_at": nullable(instant()),
}
IDENTITY: dict[str, Schema] = {
    "id": uuid(),
    "ref": REF,
    "url": url(),
    "external_id": nullable(text()),
    "origin": choice(Origin.values),
    "visibility": choice(Visibility.values),
}
FOUND = {
    "patterns": {**SLUGS, "description": "Slugs of the patterns that it shows."},
    "suggested_patterns": {**SLUGS, "description": "Slugs that nobody has confirmed yet."},
    "version": nullable(VERSION),
}

SHAPES: dict[str, Schema] = {
    **{row_name(kind): _row(kind) for kind in KINDS.values()},
    **{f"{row_name(kind)}List": page(ref(row_name(kind))) for kind in KINDS.values()},
    "Moment": MOMENT,
    "Duration": DURATION,
    "Section": obj(
        {
            "id": uuid(),
            "key": text(),
            "title": text(),
            "kind": choice(SectionKind.values),
            "body": text("Markdown."),
            "none_reason": text("Why a section of records has no rows."),
            "version": VERSION,
        },
        optional=["version"],
    ),
    "SectionList": page(ref("Section")),
    "Link": obj(
        {
            "id": uuid(),
            "kind": choice(LinkKind.values),
            "direction": choice(
                ["out", "in"], "`out`: this incident is <kind> of the other; `in`: the other way round."
            ),
            "note": text(),
            "incident": LINKED,
            "version": VERSION,
        },
        optional=["version"],
    ),
    "LinkList": page(ref("Link")),
    "IncidentSummary": obj(
        {
            **IDENTITY,
            "title": text(),
            "status": choice(Status.values),
            "severity": nullable(choice(Severity.values)),
            "organization": obj({"name": text(), "slug": text()}),
            "team": TEAM_NAME,
            "services": array(text()),
            "started": ref("Moment"),
            "duration": ref("Duration"),
            "detected_by": nullable(choice(DetectedBy.values)),
            **PUBLISHED,
            "created_at": instant(),
            **FOUND,
        }
    ),
    "IncidentList": page(ref("IncidentSummary")),
    "Incident": obj(
        {
            "format": text(),
            **IDENTITY,
            "organization": ORGANIZATION_NAME,
            "team": TEAM_NAME,
            "services": array(text()),
            "created_at": instant(),
            "status": choice(Status.values),
            "title": text(),
            "severity": nullable(choice(Severity.values)),
            "time_zone": text("An IANA name."),
            "started": ref("Moment"),
            "detected": ref("Moment"),
            "mitigated": ref("Moment"),
            "resolved": ref("Moment"),
            "planned_change": flag(),
            "duration": ref("Duration"),
            "stated_duration": nullable(obj({"seconds": whole(least=1), "text": text()})),
            "detected_by": nullable(choice(DetectedBy.values)),
            "mitigations": array(choice(Mitigation.values)),
            "template": obj({"key": text(), "number": whole(least=1)}),
            "sections": array(ref("Section")),
            **{kind.name: array(ref(row_name(kind))) for kind in KINDS.values()},
            "links": array(ref("Link")),
            **PUBLISHED,
            **FOUND,
            "warnings": array(text(), "After a write: what is unusual about the times, though it was taken."),
        },
        optional=["warnings"],
        description="The working copy for those who may see it; for everybody else the latest revision.",
    ),
    "Revision": obj(
        {
            "number": whole(least=1),
            "url": url(),
            "published_at": instant(),
            "published_by": nullable(text("A name; null for strangers.")),
            "note": text(),
        }
    ),
    "RevisionList": page(ref("Revision")),
    "RevisionDocument": obj(
        {
            "number": whole(least=1),
            "url": url(),
            "published_at": instant(),
            "published_by": nullable(text()),
            "note": text(),
            "document": {"type": "object", "description": "The incident as it was published, in the export's format."},
        }
    ),
    "AuditEntry": obj(
        {
            "at": instant(),
            "actor": nullable(text("A name.")),
            "action": text("Such as section.changed."),
            "object_type": text(),
            "object_id": text(),
            "change": {"type": "object"},
        }
    ),
    "AuditList": page(ref("AuditEntry")),
    "Export": {
        "type": "object",
        "description": "The whole record in the format precedent/1; imports read it without loss. "
        "Whoever sees the draft of what was reopened gets `published` too: what readers have meanwhile.",
    },
}
