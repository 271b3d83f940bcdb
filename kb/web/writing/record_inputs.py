"""Rows of records as form fields, and back. There is one entry for each kind in incidents/records.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.http import QueryDict

from incidents.models import Row
from incidents.records import KINDS, SUPPORTED_FACTS
from incidents.vocabulary import (
    ActionKind,
    ActionState,
    CauseKind,
    EventKind,
    Family,
    Qualifier,
)
from kb.web.writing import moments
from kb.web.writing.inputs import Choice, Input, Shape, choices_of

Value = str | tuple[str, ...]
Values = dict[str, Value]

# A number with thousands separators, as pages show it. Any other comma could be a decimal one, so it is left in place
# and the action rejects it.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)

INPUTS: dict[str, tuple[Input, ...]] = {
    "timeline": (
        Input(
            "at",
            "Time",
            size="moment",
            placeholder="14:03",
            required=True,
            hint="A time without a date is on the day the incident started.",
        ),
        Input("kind", "Kind", Shape.CHOICE, size="word", choices=choices_of(EventKind.choices)),
        Input("text", "What happened", Shape.TEXT, size="rest", required=True),
        Input("precision", "Precision", Shape.CHOICE, size="word", choices=moments.PRECISIONS, more=True),
        Input("data_url", "Link to the data", Shape.URL, size="wide", placeholder="https://", more=True),
    ),
    "causes": (
        Input("kind", "Kind", Shape.CHOICE, size="word", choices=choices_of(CauseKind.choices), required=True),
        Input("family", "Family", Shape.CHOICE, size="word", choices=choices_of(Family.choices, none="Not sure")),
        Input("text", "What made it possible", Shape.TEXT, size="wide", required=True),
    ),
    "lessons": (Input("text", "Lesson", Shape.TEXT, size="wide", required=True),),
    "actions": (
        Input("text", "What will change", Shape.TEXT, size="wide", required=True),
        Input("kind", "Kind", Shape.CHOICE, size="word", choices=choices_of(ActionKind.choices), required=True),
        Input("owner", "Owner", Shape.EMAIL, size="medium", suggestions="people", placeholder="no owner yet"),
        Input("due", "Due", Shape.DAY, size="word"),
        Input("state", "State", Shape.CHOICE, size="word", choices=choices_of(ActionState.choices)),
        Input("tracker_url", "Tracker link", Shape.URL, size="wide", placeholder="https://", more=True),
    ),
    "impact_figures": (
        Input("label", "What", size="medium", placeholder="Failed checkouts", required=True),
        Input(
            "qualifier",
            "How exact",
            Shape.CHOICE,
            size="word",
            choices=tuple(Choice(value, label or "exactly") for value, label in Qualifier.choices),
        ),
        Input("value", "Number", Shape.NUMBER, size="number", placeholder="18", required=True),
        Input("unit", "Unit", size="word", placeholder="%", required=True),
        Input("source", "Where it comes from", size="wide", placeholder="a dashboard's address, a query, a report"),
    ),
    "sources": (
        Input("title", "Title", size="wide", required=True),
        Input("url", "Address", Shape.URL, size="wide", placeholder="https://", required=True),
        Input("publisher", "Publisher", size="medium"),
        Input(
            "published",
            "Published",
            size="word",
            placeholder="2026-03-31",
            hint="A year or a month is enough: 2026, 2026-03.",
        ),
        Input("archive_url", "Archived copy", Shape.URL, size="wide", placeholder="https://", more=True),
        Input("looked_up", "Looked up", Shape.DAY, size="word", more=True),
        Input("primary", "First-hand: written by someone who was there", Shape.FLAG, size="wide", more=True),
        Input("supports", "Which facts it supports", Shape.CHECKS, size="wide", more=True),
    ),
    "disagreements": (
        Input("about", "About", size="medium", placeholder="duration", required=True),
        Input("text", "What each source says", Shape.TEXT, size="wide", required=True),
    ),
}
# The initial values of a new row.
INITIAL_VALUES: dict[str, Values] = {
    "timeline": {"kind": EventKind.OTHER.value},
    "causes": {"kind": CauseKind.CONTRIBUTING.value},
    "actions": {"kind": ActionKind.PREVENT.value, "state": ActionState.OPEN.value},
    "impact_figures": {"qualifier": Qualifier.EXACTLY.value},
}


def names(kind: str) -> list[str]:
    return [input.name for input in INPUTS[kind]]


def form_values(kind: str, row: Row, zone: str) -> Values:
    """The form values of a row, with its time in `zone`."""
    written = KINDS[kind].write(row, zone)
    values: Values = {}
    for name in names(kind):
        value = written.get(name)
        if isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(value, bool):
            values[name] = "on" if value else ""
        else:
            values[name] = "" if value is None else str(value)
    if KINDS[kind].ordered_by_time:
        stored: Any = row
        values["at"], values["precision"] = moments.form_values(stored.moment, zone)
    return values


def posted_values(kind: str, sent: QueryDict) -> Values:
    """The values sent for a row. Single-line fields are stripped."""
    values: Values = {}
    for input in INPUTS[kind]:
        if input.shape is Shape.CHECKS:
            values[input.name] = tuple(sent.getlist(input.name))
        else:
            text = sent.get(input.name, "")
            values[input.name] = text.replace("\r\n", "\n") if input.shape is Shape.TEXT else text.strip()
    return values


def action_values(
    kind: str, values: Values, *, before: Values | None = None, day: date | None = None, zone: str = ""
) -> dict[str, Any]:
    """The values as actions take them. `day` and `zone` are as for `moments.action_value`.

    A time that equals the one in `before` is left out, so that it is not parsed again.
    """
    out: dict[str, Any] = {}
    for input in INPUTS[kind]:
        value = values.get(input.name, "")
        if input.name in ("at", "precision"):
            continue
        match input.shape:
            case Shape.FLAG:
                out[input.name] = bool(value)
            case Shape.CHECKS:
                out[input.name] = list(value)
            case Shape.NUMBER:
                number = str(value)
                out[input.name] = number.replace(",", "") if _THOUSANDS.fullmatch(number) else number
            case _:
                out[input.name] = value
    if KINDS[kind].ordered_by_time:
        untouched = before is not None and all(values[name] == before[name] for name in ("at", "precision"))
        if not untouched:
            moment = moments.action_value(str(values["at"]), str(values["precision"]), day=day, zone=zone)
            out |= moment or {"at": None}
    return out


def label(kind: str, name: str) -> str:
    return next((input.label for input in INPUTS[kind] if input.name == name), name)


def in_words(kind: str, name: str, value: Value) -> str:
    """A value for display: the label of a choice, or names joined by commas."""
    input = next(p for p in INPUTS[kind] if p.name == name)
    if isinstance(value, tuple):
        return ", ".join(value)
    if input.shape is Shape.FLAG:
        return "yes" if value else "no"
    return next((c.label for c in input.choices if c.value == value), value)


def labelled_pairs(kind: str, mine: Values, theirs: Values) -> list[tuple[str, str, str]]:
    """(label, mine, theirs) for each field of `mine`, in words."""
    return [
        (label(kind, name), in_words(kind, name, mine[name]), in_words(kind, name, theirs.get(name, "")))
        for name in mine
    ]


def supports(section_keys: list[str], already: Mapping[str, Value] | None = None) -> tuple[Choice, ...]:
    """What a source can support: facts, sections of this template, and anything it already supports."""
    named = ((already or {}).get("supports")) or ()
    keys = dict.fromkeys((*SUPPORTED_FACTS, *section_keys, *named))
    return tuple(Choice(key, key.replace("_", " ")) for key in keys)
