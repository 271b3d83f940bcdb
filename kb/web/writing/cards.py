"""The editor as data: one card for each thing that is saved on its own. Views choose the cards, templates render them.

A card holds its form's address, the values of its fields, the versions it was opened with and the outcome of the last
attempt to save it. Cards are built from an incident whose parts are loaded, and make no queries of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.urls import reverse

from incidents import records, template
from incidents.document import relation
from incidents.models import Incident, PostmortemSection, Row
from incidents.template import SectionPlan
from incidents.vocabulary import LinkKind, SectionKind
from kb.web.writing import differences, record_inputs
from kb.web.writing.changes import KIND_TITLES
from kb.web.writing.differences import Effort, Mark, Piece
from kb.web.writing.inputs import Input, Shape, choices_of, filled

Values = Mapping[str, str | tuple[str, ...]]
Errors = Mapping[str, tuple[str, ...]]

NEW_LINK = "new-link"
LINK_INPUTS = (
    Input("kind", "Relation", Shape.CHOICE, size="word", choices=choices_of(LinkKind.choices)),
    Input("to", "Incident", size="word", placeholder="INC-12", required=True),
    Input("note", "Note", size="medium"),
)
# Kinds of records without a section of their own, by the section they are shown in.
KINDS_SHOWN_WITH = {"impact": ("impact_figures",), "sources": ("disagreements",)}


@dataclass(frozen=True, slots=True)
class ConflictingField:
    """One field in which two users' values differ."""

    label: str
    mine: list[Piece]
    theirs: list[Piece]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another user saved first. Holds both texts with their differences marked; nothing of the later one is saved yet.

    `version` is the saved one, `who` and `at` say who saved it and when.
    """

    version: int
    fields: list[ConflictingField]
    who: str = ""
    at: datetime | None = None

    @classmethod
    def of(
        cls,
        version: int,
        pairs: list[tuple[str, str, str]],
        *,
        who: str = "",
        at: datetime | None = None,
        effort: Effort | None = None,
    ) -> Conflict:
        """Each of `pairs` is (label, mine, theirs). Those that agree are left out.

        `effort` is what the comparisons can take, for a page with several conflicts.
        """
        effort = effort or Effort()
        fields = []
        for label, mine, theirs in pairs:
            if mine != theirs:
                pieces = differences.between(theirs, mine, effort)
                fields.append(
                    ConflictingField(
                        label, differences.side(pieces, Mark.ADDED), differences.side(pieces, Mark.REMOVED)
                    )
                )
        return cls(version, fields, who, at)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed attempt to save one card. The card is shown again with these values and errors, so nothing is lost.

    `version` and `zone` are those the card was opened with.
    """

    card: str
    values: Values
    errors: Errors = field(default_factory=dict)
    conflict: Conflict | None = None
    version: int | None = None
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One form of the editor. `hidden` holds the versions or values it was opened with."""

    id: str
    url: str
    inputs: list[Input]
    hidden: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    conflict: Conflict | None = None

    @property
    def inputs_by_name(self) -> dict[str, Input]:
        return {input.name: input for input in self.inputs}

    @property
    def main(self) -> list[Input]:
        return [input for input in self.inputs if not input.more]

    @property
    def more(self) -> list[Input]:
        return [input for input in self.inputs if input.more]

    @property
    def more_is_open(self) -> bool:
        return any(input.errors or input.value or input.values for input in self.more)


@dataclass(frozen=True, slots=True)
class RowCard:
    """One row of records. `title` names it for screen readers."""

    card: Card
    title: str
    remove_url: str
    move_url: str = ""
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class RemovedRow:
    """What is needed to undo a removal. `row` is the row's id, `values` its former values as JSON."""

    kind: str
    title: str
    url: str
    position: int
    row: str
    values: str


@dataclass(frozen=True, slots=True)
class Records:
    """All rows of a kind in one incident, the form to add one, and the form for the reason why there are none.

    `zone` is the zone of their times, or empty for kinds without times.
    """

    kind: str
    title: str
    singular: str
    rows: list[RowCard]
    adding: Card
    none: Card | None = None
    zone: str = ""
    removed: RemovedRow | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the template: its prose or its records, followed by other kinds of records shown in it."""

    plan: SectionPlan
    prose: Card | None
    records: list[Records]
    preview_url: str = ""


def section_card(
    incident: Incident, section: PostmortemSection, plan: SectionPlan, attempt: Attempt | None = None
) -> Card:
    """The card for the text of a prose section, or for the reason why a records section is empty."""
    if plan.kind is SectionKind.PROSE:
        id, input = f"section-{plan.key}", Input("body", plan.title, Shape.TEXT, size="prose")
        values = {"body": section.body}
    else:
        id, input = (
            f"none-{plan.key}",
            Input("none_reason", "None, because", size="wide", placeholder="say why there are none"),
        )
        values = {"none_reason": section.none_reason}
    url = reverse("web:save-section", args=[incident.ref, plan.key])
    return _card(id, url, (input,), values, version=section.version, attempt=attempt)


def row_card(incident: Incident, kind: str, row: Row, attempt: Attempt | None = None, *, zone: str = "") -> Card:
    """The card of one row. `zone` is the zone in which the page shows its time, if not the incident's current one."""
    url = reverse("web:save-row", args=[incident.ref, kind, row.uuid])
    zone = zone or incident.time_zone
    values = record_inputs.form_values(kind, row, zone)
    inputs = _inputs(incident, kind, values)
    card = _card(f"row-{row.uuid}", url, inputs, values, version=row.version, attempt=attempt)
    return _in_zone(card, kind, zone, attempt)


def new_row_card(incident: Incident, kind: str, attempt: Attempt | None = None) -> Card:
    url = reverse("web:add-row", args=[incident.ref, kind])
    values = record_inputs.INITIAL_VALUES.get(kind, {})
    card = _card(f"new-{kind}", url, _inputs(incident, kind, values), values, attempt=attempt)
    return _in_zone(card, kind, incident.time_zone, attempt)


def link_card(incident: Incident, attempt: Attempt | None = None) -> Card:
    """The form to add a link to another incident."""
    url = reverse("web:add-link", args=[incident.ref])
    return _card(NEW_LINK, url, LINK_INPUTS, {"kind": LinkKind.RELATED.value}, attempt=attempt)


def _in_zone(card: Card, kind: str, zone: str, attempt: Attempt | None) -> Card:
    """The card with the zone of its time as a hidden value, so that the time is read in the zone it was shown in."""
    if not records.KINDS[kind].ordered_by_time:
        return card
    if attempt and attempt.card == card.id and attempt.zone:
        zone = attempt.zone
    return replace(card, hidden={**card.hidden, "zone": zone})


def _inputs(incident: Incident, kind: str, values: Values) -> tuple[Input, ...]:
    inputs = record_inputs.INPUTS[kind]
    if kind != "sources":
        return inputs
    keys = [planned.key for planned in template.section_plans(incident.template)]
    choices = record_inputs.supports(keys, values)
    return tuple(replace(input, choices=choices) if input.name == "supports" else input for input in inputs)


def _card(
    id: str,
    url: str,
    inputs: tuple[Input, ...],
    values: Values,
    *,
    version: int | None = None,
    attempt: Attempt | None = None,
) -> Card:
    """The card with stored values, or with those of a failed attempt to save it."""
    if attempt is None or attempt.card != id:
        hidden = {} if version is None else {"version": str(version)}
        return Card(id, url, filled(inputs, values, card=id), hidden)
    opened = version if attempt.version is None else attempt.version
    return Card(
        id,
        url,
        filled(inputs, attempt.values, card=id, errors=attempt.errors),
        {} if opened is None else {"version": str(opened)},
        problems=tuple(attempt.errors.get("", ())),
        conflict=attempt.conflict,
    )


def records_of(
    incident: Incident, kind: str, *, attempt: Attempt | None = None, removed: RemovedRow | None = None
) -> Records:
    rows: list[Row] = list(getattr(incident, relation(kind)).all())
    by_time = records.KINDS[kind].ordered_by_time
    cards = [
        RowCard(
            card=row_card(incident, kind, row, attempt),
            title=row_title(row),
            remove_url=reverse("web:remove-row", args=[incident.ref, kind, row.uuid]),
            move_url="" if by_time else reverse("web:move-row", args=[incident.ref, kind, row.uuid]),
            is_first=place == 0,
            is_last=place == len(rows) - 1,
        )
        for place, row in enumerate(rows)
    ]
    planned = next((p for p in template.section_plans(incident.template) if p.records == kind), None)
    none = None
    if planned is not None and not rows:
        section = next(s for s in incident.sections.all() if s.key == planned.key)
        none = section_card(incident, section, planned, attempt)
    return Records(
        kind=kind,
        title=KIND_TITLES[kind],
        singular=records.KINDS[kind].singular,
        rows=cards,
        adding=new_row_card(incident, kind, attempt),
        none=none,
        zone=incident.time_zone if by_time else "",
        removed=removed,
    )


def row_title(row: Any) -> str:
    """The first words of a row, to name it."""
    text = str(getattr(row, "text", "") or getattr(row, "title", "") or getattr(row, "label", ""))
    words = text.split()
    return " ".join(words[:8]) + ("…" if len(words) > 8 else "")


def sections_of(
    incident: Incident, *, attempt: Attempt | None = None, removed: RemovedRow | None = None
) -> list[Section]:
    """Every section in the template's order."""
    by_key = {section.key: section for section in incident.sections.all()}
    preview = reverse("web:preview-markdown", args=[incident.ref])
    out = []
    for plan in template.section_plans(incident.template):
        is_prose = plan.kind is SectionKind.PROSE
        kinds = ([] if is_prose else [plan.records or plan.key]) + list(KINDS_SHOWN_WITH.get(plan.key, ()))
        out.append(
            Section(
                plan=plan,
                prose=section_card(incident, by_key[plan.key], plan, attempt) if is_prose else None,
                records=[
                    records_of(
                        incident, kind, attempt=attempt, removed=removed if removed and removed.kind == kind else None
                    )
                    for kind in kinds
                ],
                preview_url=preview if is_prose else "",
            )
        )
    return out
