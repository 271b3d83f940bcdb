"""Request shapes of an incident and its parts. In a change, an absent key means unchanged."""

from __future__ import annotations

from incidents.actions.compose import SECTION_READ_ONLY
from incidents.actions.incidents import FACTS
from incidents.actions.sections import ROWS_PER_KIND
from incidents.durations import MAX_STATED_SECONDS
from incidents.records import KINDS, TEXT_CHARACTERS, Kind
from incidents.template import MOST_SECTIONS
from incidents.text import TITLE_CHARACTERS
from incidents.vocabulary import DetectedBy, LinkKind, Mitigation, Precision, SectionKind, Severity, Visibility
from kb.api.shapes.incidents import MEANINGS, TIME_MEANINGS, field_shape, row_name
from kb.api.shapes.parts import Schema, array, choice, flag, nullable, obj, ref, text, uuid, whole

MOST_REVIEWERS = 50
_VERSION = whole("The version that was read. If it is no longer the current one, nothing is written.", least=1)
_PRECISION = nullable(choice(Precision.values, "How precise `at` is. By default, as precise as it is written."))
_WRITTEN_TIME = "As precise as it is known: 2026-03-31T14:05Z, 2026-03-31, 2026-03 or 2026."


def _row_fields(kind: Kind) -> dict[str, Schema]:
    timed: dict[str, Schema] = {"at": text(_WRITTEN_TIME), "precision": _PRECISION} if kind.ordered_by_time else {}
    fields = {}
    for field in kind.fields:
        shape = field_shape(kind, field)
        if field.shape == "number":
            # Decimals can be sent as strings, so that no digit is lost to floating point.
            shape = {"type": ["number", "string"], "description": 'Send it as a string to keep every digit: "12.5".'}
        fields[field.name] = nullable(shape) if field.nullable and not field.required else shape
    return {**timed, **fields}


def _required(kind: Kind) -> list[str]:
    return [*(["at"] if kind.ordered_by_time else []), *(field.name for field in kind.fields if field.required)]


def _new_row(kind: Kind) -> Schema:
    fields = _row_fields(kind)
    return obj(fields, optional=set(fields) - set(_required(kind)))


def _nested_row(kind: Kind) -> Schema:
    fields = {
        "id": uuid("The existing row to update. A row without an id is added."),
        "version": _VERSION,
        **_row_fields(kind),
    }
    return obj(fields, optional=fields)


def _all_optional(fields: dict[str, Schema], description: str = "") -> Schema:
    return obj(fields, optional=fields, description=description)


_SECTION: dict[str, Schema] = {
    "body": nullable(text("Markdown, at most 256 KiB.")),
    "none_reason": nullable(text("Why a section of records has no rows.", most=500)),
}
# The template defines these. Sections sent back as they were read still carry them; they are ignored.
_SECTION_READ: dict[str, Schema] = {
    name: {**shape, "readOnly": True}
    for name, shape in {"id": uuid(), "title": text(), "kind": choice(SectionKind.values)}.items()
}
if set(_SECTION_READ) != SECTION_READ_ONLY:
    raise AssertionError("the shape of a section must name each of its read-only fields")


def _as_read(by: str, *, also: tuple[str, ...]) -> Schema:
    """The object that incidents contain. Only `by` counts; the `also` fields are ignored."""
    read = {name: {**nullable(text()), "readOnly": True} for name in also}
    return obj({by: text(), **read}, optional=also, description="The object as it was read from an incident.")


_FACTS: dict[str, Schema] = {
    "title": text(most=TITLE_CHARACTERS),
    "severity": nullable(choice(Severity.values, MEANINGS["severity"])),
    "visibility": choice(Visibility.values, MEANINGS["visibility"]),
    "organization": {
        "anyOf": [text(), ref("OrganizationAsRead")],
        "description": "The name or slug of the organization that the incident is about. A new name creates an "
        "organization.",
    },
    "team": {
        "anyOf": [text(), ref("TeamAsRead"), {"type": "null"}],
        "description": "The slug of the team that owns the incident.",
    },
    "services": nullable(array(text(), "Names of the affected services. A new name creates a service.", most=100)),
    "detected_by": nullable(choice(DetectedBy.values, MEANINGS["detected_by"])),
    "mitigations": nullable(array(choice(Mitigation.values), MEANINGS["mitigations"], most=len(Mitigation))),
    "planned_change": flag(MEANINGS["planned_change"]),
    "time_zone": text(
        "An IANA name, such as Europe/Madrid. Changing it does not move a time, which is then shown in the new zone; "
        "a date, month or year stays as it was written."
    ),
    **{
        name: {"anyOf": [text(), ref("MomentWritten"), {"type": "null"}], "description": f"{meaning} {_WRITTEN_TIME}"}
        for name, meaning in TIME_MEANINGS.items()
    },
    "stated_duration": nullable(
        ref(
            "StatedDurationWritten",
            "The duration that a source states. Used when the times alone do not give an exact one.",
        )
    ),
}
if set(_FACTS) != set(FACTS):
    raise AssertionError("the shape of an incident must name each of its facts")


def _sections(kind: str) -> Schema:
    """Shapes of sections: `kind` is Create or Nested."""
    return {
        "anyOf": [
            ref(f"SectionsByKey{kind}"),
            array(
                ref(f"SectionListed{kind}"),
                "The list as it was read, or part of it.",
                most=MOST_SECTIONS,
            ),
        ]
    }


def _section_shapes(kind: str, fields: dict[str, Schema]) -> dict[str, Schema]:
    return {
        f"Section{kind}": _all_optional(fields),
        f"SectionsByKey{kind}": {
            "type": "object",
            "maxProperties": MOST_SECTIONS,
            "additionalProperties": ref(f"Section{kind}"),
            "description": "Sections by key. Sections that are left out stay as they are.",
        },
        f"SectionListed{kind}": obj({"key": text(), **fields, **_SECTION_READ}, optional=[*fields, *_SECTION_READ]),
    }


# A new incident has no ids or versions to refer to yet.
_NEW: dict[str, Schema] = {
    "sections": _sections("Create"),
    **{kind.name: array(ref(f"{row_name(kind)}Create"), most=ROWS_PER_KIND) for kind in KINDS.values()},
}
_NESTED: dict[str, Schema] = {
    "sections": _sections("Nested"),
    **{
        kind.name: array(
            ref(f"{row_name(kind)}Nested"),
            "The complete list. Rows match by id: one without an id is added, one that is left out is removed.",
            most=ROWS_PER_KIND,
        )
        for kind in KINDS.values()
    },
}

# What to do instead of writing a field that can only be read. Fields that are not listed never change on request.
REMEDIES = {
    "version": "To change exactly this version, send its ETag as If-Match.",
    "status": "It follows from the steps: POST to /submit, /withdraw, /publish, /reopen, /archive or /restore under "
    "the incident.",
    "published_at": "POST to /publish under the incident.",
    "revision": "POST to /publish under the incident.",
    "template": "It is chosen when the incident is created.",
    "patterns": "Add one with a POST to /patterns under the incident, and decide with /confirm, /reject or /undo.",
    "suggested_patterns": "Decide with a POST to /confirm or /reject under the incident's /patterns/{slug}.",
    "links": "Add one with a POST to /links under the incident, and change or remove it at /links/{id}.",
    "duration": "It follows from `started` and `resolved`, or from `stated_duration`.",
}

SHAPES: dict[str, Schema] = {
    "MomentWritten": obj({"at": text(_WRITTEN_TIME), "precision": _PRECISION}, optional=["precision"]),
    "StatedDurationWritten": obj(
        {
            "seconds": whole(least=1, most=MAX_STATED_SECONDS),
            "text": nullable(text("The duration in the source's own words.", most=80)),
        },
        optional=["text"],
    ),
    "OrganizationAsRead": _as_read("name", also=("slug", "website", "sector")),
    "TeamAsRead": _as_read("slug", also=("name",)),
    **_section_shapes("Create", _SECTION),
    **_section_shapes("Nested", {**_SECTION, "version": _VERSION}),
    **{f"{row_name(kind)}Create": _new_row(kind) for kind in KINDS.values()},
    **{f"{row_name(kind)}Change": _all_optional(_row_fields(kind)) for kind in KINDS.values()},
    **{f"{row_name(kind)}Nested": _nested_row(kind) for kind in KINDS.values()},
    "IncidentCreate": obj(
        {
            **_FACTS,
            "organization": nullable(_FACTS["organization"]),
            "template": text("The key of a postmortem template; standard by default."),
            **_NEW,
        },
        optional=[*(set(_FACTS) - {"title"}), "template", *_NEW],
    ),
    "IncidentChange": _all_optional({**_FACTS, **_NESTED}),
    "SectionChange": _all_optional(_SECTION),
    "LinkCreate": obj(
        {
            "kind": choice(LinkKind.values, "This incident is <kind> the other one."),
            "to": text("The other incident: INC-12, 12 or a UUID."),
            "note": nullable(text("Why the two are linked.", most=500)),
        },
        optional=["note"],
    ),
    "LinkChange": obj({"note": text("Why the two are linked.", most=500)}),
    "Submit": obj(
        {"reviewers": array(text(), "E-mail addresses of the people to ask for a review.", most=MOST_REVIEWERS)}
    ),
    "Review": obj(
        {
            "approve": flag("true approves; false requests changes and needs a comment."),
            "comment": nullable(text(most=TEXT_CHARACTERS)),
        },
        optional=["comment"],
    ),
    "Publish": _all_optional({"note": nullable(text("What changed in this revision.", most=500))}),
    "Nothing": _all_optional({}, "An empty object, or no body at all."),
}
