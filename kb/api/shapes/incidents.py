"""Response shapes of an incident: its document, sections, rows, links, revisions, audit trail and export."""

from __future__ import annotations

from incidents.durations import DurationKind
from incidents.records import KINDS, MAX_NAMES, SUPPORTED_FACTS, Field, Kind
from incidents.vocabulary import (
    DetectedBy,
    LinkKind,
    Mitigation,
    Origin,
    Precision,
    ReviewState,
    SectionKind,
    Severity,
    Status,
    Visibility,
)
from kb.api.shapes.parts import (
    Schema,
    array,
    choice,
    described,
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

VERSION = whole("The version that If-Match is compared with. Only callers who see the working copy get it.", least=1)
SLUGS = array(text())
REF = text("The short reference, such as INC-12.")
SELF = url("The URL of this object in the API.")
STATUS = choice(Status.values, "How far along the postmortem is. Archived ones are hidden from lists and searches.")
EXTERNAL_ID = nullable(text("The id under which the incident was imported; null if it was not."))
TIME_MEANINGS = {
    "started": "When the impact began.",
    "detected": "When the incident was first noticed.",
    "mitigated": "When the impact was contained.",
    "resolved": "When the incident was over.",
}
MEANINGS = {
    "severity": "null when unknown.",
    "visibility": "Who can read it once it is published: everyone, everyone signed in, or the members of its team.",
    "detected_by": "Who or what noticed the incident first; null when unknown.",
    "mitigations": "What was done to stop the impact.",
    "planned_change": "Whether it was part of a planned change, which can be detected before its impact begins.",
}
KIND_MEANINGS = {
    "timeline": "What happened, in order of time.",
    "causes": "Triggers, root causes and contributing factors.",
    "lessons": "What was learned.",
    "actions": "Action items: what will be done about it.",
    "impact_figures": "Numbers that measure the impact.",
    "sources": "Where the facts come from.",
    "disagreements": "Facts on which the sources differ.",
}
ROW_MEANINGS = {
    ("timeline", "text"): "What happened, in Markdown.",
    ("timeline", "data_url"): "A link to the data behind the event, such as a dashboard. Empty for anonymous callers.",
    ("causes", "family"): "The failure family that the cause belongs to; null when unknown.",
    ("causes", "text"): "Markdown.",
    ("lessons", "text"): "Markdown.",
    ("actions", "kind"): "What the action item is for.",
    ("actions", "state"): "`announced`: promised in public, but not known to be done.",
    ("actions", "text"): "What will be done, in Markdown.",
    ("actions", "owner"): "The owner's e-mail address; null when it has no owner. Always null for anonymous callers.",
    ("actions", "tracker_url"): "The issue in your tracker. Empty for anonymous callers.",
    ("actions", "done_at"): "When the action item was completed.",
    ("impact_figures", "label"): 'What was measured, such as "Failed checkouts".',
    ("impact_figures", "qualifier"): "How exact the value is.",
    ("impact_figures", "unit"): "Such as %, users or EUR.",
    (
        "impact_figures",
        "source",
    ): "Where the figure comes from, such as a dashboard or query. Empty for anonymous callers.",
    ("sources", "archive_url"): "An archived copy of the page.",
    ("sources", "published"): "When it was published, as precisely as known: 2026, 2026-03 or 2026-03-31.",
    ("sources", "looked_up"): "The day it was last read.",
    ("sources", "primary"): "Whether it is a first-hand account, written by people who were involved.",
    ("sources", "supports"): f"What it supports: {', '.join(SUPPORTED_FACTS)}, keys of sections, or ids of rows.",
    ("disagreements", "about"): "The fact on which the sources differ.",
    ("disagreements", "text"): "What each source says, in Markdown.",
}


def row_name(kind: Kind) -> str:
    """The name of the shape of this kind's rows: TimelineEvent, Cause, ActionItem, ImpactFigure, ..."""
    return "".join(word.capitalize() for word in kind.singular.split())


def is_nullable(field: Field) -> bool:
    """Whether an empty field is null in responses. Others are an empty string then; the field's writer decides."""
    if field.required or not field.nullable:
        return False
    return field.shape in ("date", "date-time", "email") or (
        field.shape in ("string", "choice") and field.write("") is None
    )


def field_shape(kind: Kind, field: Field) -> Schema:
    shapes: dict[str, Schema] = {
        "string": text(),
        "choice": choice(field.choices),
        "date": {"type": "string", "format": "date"},
        "date-time": {"type": "string", "format": "date-time"},
        "email": {"type": "string", "format": "email"},
        "number": number(),
        "boolean": flag(),
        "strings": array(text(), most=MAX_NAMES),
    }
    live = "Can be changed after publishing." if field.live else ""
    return described(shapes[field.shape], f"{ROW_MEANINGS.get((kind.name, field.name), '')} {live}".strip())


def _row(kind: Kind) -> Schema:
    properties: dict[str, Schema] = {"id": uuid()}
    if kind.ordered_by_time:
        properties["at"] = text("As precise as `precision` says: 2026-03-31T14:05+00:00, 2026-03-31 or 2026.")
        properties["precision"] = choice(Precision.values)
    for field in kind.fields:
        shape = field_shape(kind, field)
        properties[field.name] = nullable(shape) if is_nullable(field) else shape
    properties["version"] = VERSION
    # Revisions that predate `done_at` do not have it.
    return obj(properties, optional=["version", "done_at"])


TEAM_NAME = nullable(ref("TeamName", "The owning team; null without one, and for anonymous callers."))
DURATION = nullable(ref("Duration", "From the start to the resolution; null when unknown."))
PUBLISHED = {
    "revision": nullable(whole("Number of the latest published revision; null if it was never published.", least=1)),
    "published_at": nullable(instant("When that revision was published.")),
}
IDENTITY: dict[str, Schema] = {
    "id": uuid(),
    "ref": REF,
    "url": SELF,
    "external_id": EXTERNAL_ID,
    "origin": choice(
        Origin.values, "`own`: written here; `famous`: a publicly documented outage; `imported`: read from a file."
    ),
    "visibility": choice(Visibility.values, MEANINGS["visibility"]),
}
FOUND = {
    "patterns": {
        **SLUGS,
        "description": "Slugs of the patterns that the incident shows, tagged automatically or by a person.",
    },
    "suggested_patterns": {**SLUGS, "description": "Slugs of patterns that were suggested and not yet decided on."},
    "version": nullable(VERSION),
}

NOTICES = array(
    text(),
    "If nothing was found: which names in the filters do not exist or are hidden from the caller, and what might be "
    "meant instead.",
)

SHAPES: dict[str, Schema] = {
    **{row_name(kind): _row(kind) for kind in KINDS.values()},
    **{f"{row_name(kind)}List": page(ref(row_name(kind))) for kind in KINDS.values()},
    "Moment": obj(
        {
            "at": text("As precise as `precision` says, in the incident's time zone."),
            "precision": choice(Precision.values),
        }
    ),
    "Duration": obj(
        {
            "seconds": whole(),
            "kind": choice(
                [kind.value for kind in DurationKind],
                "`measured` between two times, `stated` by a source, or `about` when the times are too imprecise. "
                "Statistics leave `about` out.",
            ),
            "text": text("For display, such as 2 h 40 min."),
        }
    ),
    "StatedDuration": obj({"seconds": whole(least=1), "text": text()}),
    "TeamName": obj({"name": text(), "slug": text()}),
    "OrganizationName": obj({"name": text(), "slug": text()}),
    "OrganizationFacts": obj({"name": text(), "slug": text(), "website": nullable(text()), "sector": nullable(text())}),
    "Section": obj(
        {
            "id": uuid(),
            "key": text("Identifies the section within the template, such as summary."),
            "title": text(),
            "kind": choice(SectionKind.values, "`prose` has a body; `records` has rows."),
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
            "kind": choice(LinkKind.values, "How the two incidents are related; see `direction`."),
            "direction": choice(
                ["out", "in"],
                "`out`: this incident is <kind> the other one. `in`: the other one is <kind> this incident.",
            ),
            "note": text(),
            "incident": ref("LinkedIncident", "The incident at the other end."),
            "version": VERSION,
        },
        optional=["version"],
    ),
    "LinkedIncident": obj(
        {
            "id": uuid(),
            "ref": REF,
            "title": text(),
            "origin": choice(Origin.values),
            "external_id": EXTERNAL_ID,
            "organization": text("The organization's name."),
        }
    ),
    "LinkList": page(ref("Link")),
    "IncidentSummary": obj(
        {
            **IDENTITY,
            "title": text(),
            "status": STATUS,
            "severity": nullable(choice(Severity.values, MEANINGS["severity"])),
            "organization": ref("OrganizationName"),
            "team": TEAM_NAME,
            "services": array(text(), "Names of the affected services."),
            "started": nullable(ref("Moment", TIME_MEANINGS["started"])),
            "duration": DURATION,
            "detected_by": nullable(choice(DetectedBy.values, MEANINGS["detected_by"])),
            **PUBLISHED,
            "created_at": instant(),
            **FOUND,
        }
    ),
    "IncidentList": page(ref("IncidentSummary"), notices=NOTICES),
    "Incident": obj(
        {
            "format": text("The document's format: precedent/1."),
            **IDENTITY,
            "organization": ref("OrganizationFacts"),
            "team": TEAM_NAME,
            "services": array(text(), "Names of the affected services."),
            "created_at": instant(),
            "status": STATUS,
            "title": text(),
            "severity": nullable(choice(Severity.values, MEANINGS["severity"])),
            "time_zone": text("The IANA time zone in which the times are written, such as Europe/Madrid."),
            **{name: nullable(ref("Moment", meaning)) for name, meaning in TIME_MEANINGS.items()},
            "planned_change": flag(MEANINGS["planned_change"]),
            "duration": DURATION,
            "stated_duration": nullable(ref("StatedDuration", "The duration that a source states.")),
            "detected_by": nullable(choice(DetectedBy.values, MEANINGS["detected_by"])),
            "mitigations": array(choice(Mitigation.values), MEANINGS["mitigations"]),
            "template": obj(
                {"key": text(), "number": whole(least=1)}, description="The template version it was written from."
            ),
            "sections": array(ref("Section"), "In the template's order."),
            **{kind.name: array(ref(row_name(kind)), KIND_MEANINGS.get(kind.name, "")) for kind in KINDS.values()},
            "links": array(ref("Link"), "Links to and from other incidents that the caller can see."),
            **PUBLISHED,
            **FOUND,
            "warnings": array(text(), "Only after a write: anything unusual about the times that was accepted."),
        },
        optional=["warnings"],
        description="The working copy for callers who can see it, otherwise the latest published revision.",
    ),
    "Revision": obj(
        {
            "number": whole(least=1),
            "url": SELF,
            "published_at": instant(),
            "published_by": nullable(text("The name of the user who published it; null for anonymous callers.")),
            "note": text("What changed in this revision. Empty for anonymous callers."),
        }
    ),
    "RevisionList": page(ref("Revision")),
    "RevisionDocument": obj(
        {
            "number": whole(least=1),
            "url": SELF,
            "published_at": instant(),
            "published_by": nullable(text("The name of the user who published it; null for anonymous callers.")),
            "note": text("What changed in this revision. Empty for anonymous callers."),
            "document": {"type": "object", "description": "The incident as published, in the format of exports."},
        }
    ),
    "ReviewRequest": obj(
        {
            "reviewer": text("The name of the user who was asked."),
            "email": text("Their e-mail address."),
            "asked_by": text("The name of the user who asked."),
            "asked_at": instant(),
            "state": choice(ReviewState.values, "`asked` until they decide."),
            "comment": text(),
            "decided_at": nullable(instant()),
            "ended_at": nullable(instant("When the round ended: by publishing, withdrawing or a new request.")),
            "approves_current_text": flag("Whether it approves the text as it is now. Any edit ends that."),
        }
    ),
    "ReviewRequestList": page(ref("ReviewRequest")),
    "AuditEntry": obj(
        {
            "at": instant(),
            "actor": nullable(text("The name of the user who acted.")),
            "action": text("What was done, such as section.changed."),
            "object_type": text("The type of the object that was changed, such as incident or tag."),
            "object_id": text(),
            "change": {"type": "object", "description": "Details of the change; its keys depend on the action."},
        }
    ),
    "AuditList": page(ref("AuditEntry")),
    "Export": {
        "type": "object",
        "description": "The whole record in the format precedent/1, which can be imported again without loss. "
        "For a reopened draft, `published` holds the revision that readers see in the meantime.",
    },
}
