"""The facts card as the page draws it: its fields, the meaning of each choice, and the values others saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from django.urls import reverse

from incidents import scopes
from incidents.models import Incident
from incidents.models.incident import TIMES
from incidents.scopes import Viewer
from incidents.vocabulary import DetectedBy, Mitigation, Severity, Visibility
from incidents.zones import zones
from kb.web.writing import facts, moments, stated_durations
from kb.web.writing.cards import Card
from kb.web.writing.inputs import Choice, Input, Shape, choices_of, filled

ID = "facts"
TIME_LABELS = {
    "started": "Impact started",
    "detected": "Detected",
    "mitigated": "Mitigated",
    "resolved": "Resolved",
}
VISIBILITY_MEANS = {
    Visibility.PUBLIC: "Once published, anyone can read it without signing in.",
    Visibility.INTERNAL: "Once published, everyone who is signed in can read it.",
    Visibility.TEAM: "Only members of the owning team and admins can read it, even once it is published.",
}
SEVERITY_MEANS = {
    Severity.SEV1: "A core service was down for most of its users, or data, money or safety was lost.",
    Severity.SEV2: "A core service was degraded, or down for a considerable share of its users.",
    Severity.SEV3: "Part of a service or a small share of users was affected, or there was a workaround.",
    Severity.SEV4: "Barely noticed from outside.",
}


@cache
def _zones() -> tuple[Choice, ...]:
    return tuple(Choice(zone, zone) for zone in zones())


def inputs(incident: Incident, viewer: Viewer) -> list[Input]:
    means: Mapping[str, str] = incident.template.definition.get("severities", {})
    severities = tuple(Choice(s.value, s.label, means.get(s.value, SEVERITY_MEANS[s])) for s in Severity)
    teams = scopes.visible_teams(viewer)
    if not viewer.is_admin:
        teams = teams.filter(pk__in=viewer.writes_for)
    times = []
    for name in TIMES:
        times.append(Input(name, TIME_LABELS[name], size="moment", placeholder="2026-03-31 14:05"))
        times.append(
            Input(
                f"{name}_precision",
                f"{TIME_LABELS[name]}: precision",
                Shape.CHOICE,
                size="precision",
                choices=moments.PRECISIONS,
            )
        )
    return [
        Input("title", "Title", Shape.TEXT, size="title", required=True, form=f"form-{ID}"),
        Input("organization", "Organization", suggestions="organizations"),
        Input(
            "team",
            "Owning team",
            Shape.CHOICE,
            choices=choices_of(teams.values_list("slug", "name"), none="No team" if viewer.is_admin else None),
        ),
        Input("services", "Services", Shape.LINES, suggestions="services", size="wide"),
        Input("severity", "Severity", Shape.RADIO, size="wide", choices=(*severities, Choice("", "Not known yet"))),
        *times,
        Input(
            "time_zone",
            "Time zone of these times",
            Shape.CHOICE,
            size="medium",
            choices=_zones(),
            hint="If you change it, the four times stay as typed and are read in the new zone.",
        ),
        Input("planned_change", "It started with a planned change", Shape.FLAG),
        Input(
            "stated_duration",
            "Stated duration",
            placeholder="2 h 10 min",
            hint="If a source states it. Exact times above take precedence.",
        ),
        Input("stated_duration_text", "In the words of the source", hint="Optional. Quote it as written."),
        Input("detected_by", "Detected by", Shape.CHOICE, choices=choices_of(DetectedBy.choices, none="Not known yet")),
        Input("mitigations", "Mitigated by", Shape.CHECKS, size="wide", choices=choices_of(Mitigation.choices)),
        Input(
            "visibility",
            "Who can read it",
            Shape.RADIO,
            size="wide",
            choices=tuple(Choice(v.value, v.label, VISIBILITY_MEANS[v]) for v in Visibility),
        ),
    ]


def card(incident: Incident, viewer: Viewer, outcome: facts.Outcome | None = None) -> Card:
    """The card with stored values, or with the outcome of the last attempt to save it."""
    url = reverse("web:save-facts", args=[incident.ref])
    blank = inputs(incident, viewer)
    if outcome is None:
        values = facts.form_values(incident)
        return Card(ID, url, filled(blank, values, card=ID), facts.hidden_fields(values))
    answered = [
        replace(i, theirs=theirs_in_words(i, outcome.conflicts))
        if i.name in outcome.conflicts and i.name in facts.FACTS
        else i
        for i in filled(blank, {**facts.form_values(incident), **outcome.mine}, card=ID, errors=outcome.errors)
    ]
    seen = {name.replace("base-", "seen-", 1): text for name, text in facts.hidden_fields(outcome.conflicts).items()}
    return Card(
        ID,
        url,
        answered,
        {**facts.hidden_fields(outcome.base), **seen},
        problems=outcome.errors.get("", ()),
        notices=tuple(outcome.warnings),
    )


def theirs_in_words(input: Input, values: facts.Values) -> str:
    """The value that another user saved for this fact, in words."""
    value = values[input.name]
    if isinstance(value, tuple):
        labels = {c.value: c.label for c in input.choices}
        return ", ".join(labels.get(v, v) for v in value) or "nothing"
    if input.name in TIMES:
        known = next(c.label for c in moments.PRECISIONS if c.value == values[f"{input.name}_precision"])
        return f"{value}, {known}" if value else "nothing"
    if input.name == "stated_duration":
        return stated_durations.in_words(value, str(values["stated_duration_text"]))
    if input.shape is Shape.FLAG:
        return "yes" if value else "no"
    return next((c.label for c in input.choices if c.value == value), value) or "nothing"
