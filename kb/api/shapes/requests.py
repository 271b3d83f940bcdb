"""What is written of an incident. Absent keys mean unchanged."""

from __future__ import annotations

from incidents.actions.compose import SECTION_READ
from incidents.actions.incidents import FACTS
from incidents.actions.sections import ROWS_PER_KIND
from incidents.durations import LONGEST
from incidents.models.incident import TIMES
from incidents.records import KINDS, TEXT_CHARACTERS, Kind
from incidents.template import MOST_SECTIONS
from incidents.text import TITLE_CHARACTERS
from incidents.vocabulary import DetectedBy, LinkKind, Mitigation, Precision, SectionKind, Severity, Visibility
from kb.api.shapes.incidents import VERSION, field_shape, row_name
from kb.api.shapes.parts import Schema, array, choice, flag, nullable, obj, ref, text, uuid, whole

MOST_REVIEWERS = 50
_PRECISION = nullable(choice(Precision.values, "As precise as it is written, unless named."))
_WRITTEN_TIME = "2026-03-31T14:05Z, or as far as it is known: 2026-03-31, 2026-03, 2026."


def _row_fields(kind: Kind) -> dict[str, Schema]:
    timed: dict[str, Schema] = {"at": text(_WRITTEN_TIME), "precision": _PRECISION} if kind.ordered_by_time else {}
    fields = {}
    for field in kind.fields:
        shape = field_shape(field)
        if field.shape == "number":
            # Decimals may be sent as text, so that no digit is lost on the way.
            shape = {"type": ["number", "string"]}
        fields[field.name] = nullable(shape) if field.nullable and not field.required else shape
    return {**timed, **fields}


def _required(kind: Kind) -> list[str]:
    return [*(["at"] if kind.ordered_by_time else []), *(field.name for field in kind.fields if field.required)]


def _new_row(kind: Kind) -> Schema:
    fields = _row_fields(kind)
    return obj(fields, optional=set(fields) - set(_required(kind)))


def _nested_row(kind: Kind) -> Schema:
    fields = {
        "id": uuid("Of the row that this is; without it the row is new."),
        "version": VERSION,
        **_row_fields(kind),
    }
    return obj(fields, optional=fields)


def _all_optional(fields: dict[str, Schema], description: str = "") -> Schema:
    return obj(fields, optional=fields, description=description)


_SECTION: dict[str, Schema] = {
    "body": nullable(text("Markdown, at most 256 KiB.")),
    "none_reason": nullable(text("Why a section of records has no rows.", most=500)),
}
# A list that was read brings these back; they are the template's to say, and are ignored.
_SECTION_READ: dict[str, Schema] = {
    name: {**shape, "readOnly": True}
    for name, shape in {"id": uuid(), "title": text(), "kind": choice(SectionKind.values)}.items()
}
if set(_SECTION_READ) != SECTION_READ:
    raise AssertionError("the shape of a section must name what is only read of it")


def _named(description: str, by: str, *, also: tuple[str, ...]) -> Schema:
    """Something named by a text, or as it is read of an incident: `also` comes along with it and is ignored."""
    read = {name: {**nullable(text()), "readOnly": True} for name in also}
    return {"anyOf": [text(description), obj({by: text(), **read}, optional=also)]}


_FACTS: dict[str, Schema] = {
    "title": text(most=TITLE_CHARACTERS),
    "severity": nullable(choice(Severity.values)),
    "visibility": choice(Visibility.values),
    "organization": _named("A name or slug.", "name", also=("slug", "website", "sector")),
    "team": nullable(_named("A slug.", "slug", also=("name",))),
    "services": nullable(array(text(), "Names.", most=100)),
    "detected_by": nullable(choice(DetectedBy.values)),
    "mitigations": nullable(array(choice(Mitigation.values), most=len(Mitigation))),
    "planned_change": flag(),
    "time_zone": text("An IANA name, such as Europe/Madrid."),
    **{name: ref("MomentWritten") for name in TIMES},
    "stated_duration": nullable(
        obj({"seconds": whole(least=1, most=LONGEST), "text": nullable(text(most=80))}, optional=["text"])
    ),
}
if set(_FACTS) != set(FACTS):
    raise AssertionError("the shape of an incident's facts must name each of them")


def _sections(fields: dict[str, Schema]) -> Schema:
    return {
        "anyOf": [
            {
                "type": "object",
                "maxProperties": MOST_SECTIONS,
                "additionalProperties": _all_optional(fields),
                "description": "By key. Sections that are not named stay as they are.",
            },
            array(
                obj({"key": text(), **fields, **_SECTION_READ}, optional=[*fields, *_SECTION_READ]),
                "The list that was read, or some of it.",
                most=MOST_SECTIONS,
            ),
        ]
    }


# Nothing of what is new has an id or a version yet.
_NEW: dict[str, Schema] = {
    "sections": _sections(_SECTION),
    **{kind.name: array(ref(f"{row_name(kind)}Create"), most=ROWS_PER_KIND) for kind in KINDS.values()},
}
_NESTED: dict[str, Schema] = {
    "sections": _sections({**_SECTION, "version": VERSION}),
    **{
        kind.name: array(
            ref(f"{row_name(kind)}Nested"),
            "The whole list: rows match by id, one without is new, one that is not there is removed.",
            most=ROWS_PER_KIND,
        )
        for kind in KINDS.values()
    },
}

SHAPES: dict[str, Schema] = {
    "MomentWritten": {
        "anyOf": [
            text(_WRITTEN_TIME),
            obj({"at": text(_WRITTEN_TIME), "precision": _PRECISION}, optional=["precision"]),
            {"type": "null"},
        ]
    },
    **{f"{row_name(kind)}Create": _new_row(kind) for kind in KINDS.values()},
    **{f"{row_name(kind)}Change": _all_optional(_row_fields(kind)) for kind in KINDS.values()},
    **{f"{row_name(kind)}Nested": _nested_row(kind) for kind in KINDS.values()},
    "IncidentCreate": obj(
        {
            **_FACTS,
            "organization": nullable(_FACTS["organization"]),
            "template": text("A template's key; standard unless named."),
            **_NEW,
        },
        optional=[*(set(_FACTS) - {"title"}), "template", *_NEW],
    ),
    "IncidentChange": _all_optional({**_FACTS, **_NESTED}),
    "SectionChange": _all_optional(_SECTION),
    "LinkCreate": obj(
        {
            "kind": choice(LinkKind.values),
            "to": text("INC-12, 12 or a UUID: this incident is <kind> of that one."),
            "note": nullable(text(most=500)),
        },
        optional=["note"],
    ),
    "LinkChange": obj({"note": text(most=500)}),
    "Submit": obj({"reviewers": array(text("An e-mail address."), most=MOST_REVIEWERS)}),
    "Review": obj(
        {
            "approve": flag("false asks for changes, and needs a comment."),
            "comment": nullable(text(most=TEXT_CHARACTERS)),
        },
        optional=["comment"],
    ),
    "Publish": _all_optional({"note": nullable(text("What is new in this revision.", most=500))}),
    "Nothing": _all_optional({}, "An empty object, or no body at all."),
}
