"""Reading and saving the facts card. A save changes only the facts that the user changed.

The form carries the value that each fact was opened with. A fact the user did not change is not saved. One that another
user changed in the meantime is not overwritten but shown with both values. Edits to different facts never conflict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from incidents.actions.incidents import change_incident
from incidents.actions.links import find_visible
from incidents.document import prefetch_parts
from incidents.errors import Invalid, Stale, WrongState
from incidents.models import Incident
from incidents.models.incident import TIMES
from incidents.scopes import Viewer
from incidents.text import is_blank
from kb.web.writing import moments, stated_durations
from kb.web.writing.inputs import errors_by_input, incomplete_form

Value = str | tuple[str, ...]
Values = dict[str, Value]

LISTS = ("services", "mitigations")
SINGLE = ("title", "severity", "visibility", "organization", "team", "detected_by", "planned_change", "time_zone")
# A time and its precision are one fact with two fields; so are a duration and its wording.
FACTS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in (*SINGLE, *LISTS)},
    **{name: (name, f"{name}_precision") for name in TIMES},
    "stated_duration": ("stated_duration", "stated_duration_text"),
}
NAMES = tuple(name for names in FACTS.values() for name in names)
# Rounds of a save. Each one saves, or finds another invalid fact, or loses a race with another writer.
ATTEMPTS = 20


def form_values(incident: Incident) -> Values:
    """The facts as the form shows them."""
    values: Values = {
        "title": incident.title,
        "severity": incident.severity or "",
        "visibility": incident.visibility,
        "organization": incident.organization.name,
        "team": incident.team.slug if incident.team else "",
        "services": tuple(service.name for service in incident.services.all()),
        "detected_by": incident.detected_by or "",
        "mitigations": tuple(incident.mitigations),
        "planned_change": "on" if incident.planned_change else "",
        "time_zone": incident.time_zone,
    }
    for name in TIMES:
        values[name], values[f"{name}_precision"] = moments.form_values(incident.moment(name), incident.time_zone)
    values["stated_duration"], values["stated_duration_text"] = stated_durations.form_values(incident)
    return values


def posted_values(sent: QueryDict) -> Values:
    """The facts as typed. A fact whose field is not in the form is left out; an unchecked box counts as empty.

    Raises Invalid when only one of a fact's two fields was sent, because its meaning would be ambiguous.
    """
    known = set(sent.getlist("fields")) or set(NAMES)
    values: Values = {}
    for name in NAMES:
        if name not in known:
            continue
        if name in LISTS:
            values[name] = tuple(text.strip() for text in sent.getlist(name) if not is_blank(text))
        elif name in sent or name == "planned_change":
            values[name] = sent.get(name, "").strip()
    for fact, names in FACTS.items():
        if 0 < sum(name in values for name in names) < len(names):
            raise incomplete_form(fact)
    return values


def base_values(sent: QueryDict, prefix: str = "base-") -> Values:
    """The values that the form was opened with; with the prefix "seen-", the conflicting values it showed."""
    out: Values = {}
    for name in NAMES:
        text = sent.get(prefix + name)
        if text is None:
            continue
        if name in LISTS:
            try:
                read = json.loads(text)
            except (ValueError, RecursionError):
                continue
            out[name] = tuple(map(str, read)) if isinstance(read, list) else ()
        else:
            out[name] = text
    return out


def hidden_fields(values: Mapping[str, Value]) -> dict[str, str]:
    """The hidden fields with the values that a form is opened with."""
    return {f"base-{name}": json.dumps(list(v)) if isinstance(v, tuple) else v for name, v in values.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """`to_save` are the facts to save, `conflicts` those that another user has changed to a different value."""

    to_save: tuple[str, ...]
    conflicts: tuple[str, ...]


def plan(base: Mapping[str, Value], mine: Mapping[str, Value], theirs: Mapping[str, Value]) -> Plan:
    """Decide for each fact whether to leave it, save it, or report a conflict."""
    to_save: list[str] = []
    conflicts: list[str] = []
    for fact, names in FACTS.items():
        if any(name not in mine for name in names):
            continue
        m, t = ([side[name] for name in names] for side in (mine, theirs))
        b = [base.get(name, theirs[name]) for name in names]
        if m in (b, t):
            continue
        (to_save if t == b else conflicts).append(fact)
    return Plan(tuple(to_save), tuple(conflicts))


def with_dependents(facts: Sequence[str]) -> list[str]:
    """`facts`, and those that depend on them: all times on the time zone, services on the organization."""
    found = dict.fromkeys(facts)
    if "time_zone" in found:
        found |= dict.fromkeys(TIMES)
    if "organization" in found:
        found |= {"services": None}
    return list(found)


def action_values(incident: Incident, mine: Mapping[str, Value], facts: Sequence[str]) -> dict[str, Any]:
    """The facts as the action takes them. One that is only sent along keeps its saved value, not the form's.

    Raises Invalid for a stated duration that cannot be read.
    """
    now = form_values(incident)
    day = moments.default_day(incident, str(mine.get("started", "")))
    out: dict[str, Any] = {}
    for fact in with_dependents(facts):
        values = mine if fact in facts else now
        value = values[fact]
        if fact in TIMES:
            out[fact] = moments.action_value(str(value), str(values[f"{fact}_precision"]), day=day)
        elif fact == "stated_duration":
            out[fact] = stated_durations.action_value(str(value), str(values["stated_duration_text"]))
        elif fact in LISTS:
            out[fact] = list(value)
        elif fact == "planned_change":
            out[fact] = bool(value)
        else:
            out[fact] = value
    return out


@dataclass(frozen=True, slots=True)
class Outcome:
    """`base` is what the form counts as opened with from here on. `conflicts` holds the values that others saved."""

    incident: Incident
    mine: Values
    base: Values
    saved: tuple[str, ...] = ()
    conflicts: Values = field(default_factory=dict)
    errors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def save(viewer: Viewer, incident_id: int, *, base: Values, mine: Values) -> Outcome:
    """Save the changed facts. An invalid fact is reported and does not keep the others from being saved.

    A compare-and-set: the facts are compared at one version of the incident and saved only if it is still current.
    Raises WrongState when other writers keep winning the race.
    """
    errors: dict[str, tuple[str, ...]] = {}
    for _ in range(ATTEMPTS):
        incident = _incident_with_services(viewer, incident_id)
        planned = plan(base, mine, form_values(incident))
        sent = [fact for fact in planned.to_save if fact not in errors]
        try:
            # Called even without changes, because it checks the viewer's permission.
            _, warnings = change_incident(
                actor=viewer,
                incident_id=incident_id,
                facts=action_values(incident, mine, sent),
                expected_version=incident.version,
            )
        except Stale:
            continue
        except Invalid as refused:
            if not sent:
                raise
            errors |= _errors_by_fact(refused, sent)
            continue
        return _outcome(viewer, incident_id, planned, sent, base, mine, errors, warnings)
    raise WrongState("Other people are changing these facts right now. Wait a moment, then save again.")


def _incident_with_services(viewer: Viewer, incident_id: int) -> Incident:
    """The incident with all that its facts need. Raises Missing."""
    incident = find_visible(viewer, str(incident_id), whole=True)
    prefetch_parts(incident, "services")
    return incident


def _errors_by_fact(refused: Invalid, sent: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The errors by fact. When two times contradict each other, the one that was just changed gets the error."""
    found = errors_by_input(refused.fields, FACTS)
    if own := {fact: messages for fact, messages in found.items() if fact in sent}:
        return own
    messages = tuple(message for group in found.values() for message in group)
    about_time = [fact for fact in sent if fact in (*TIMES, "time_zone", "planned_change")]
    return dict.fromkeys(about_time or sent, messages)


def _outcome(
    viewer: Viewer,
    incident_id: int,
    planned: Plan,
    sent: Sequence[str],
    base: Values,
    mine: Values,
    errors: dict[str, tuple[str, ...]],
    warnings: list[str],
) -> Outcome:
    incident = _incident_with_services(viewer, incident_id)
    now = form_values(incident)
    saved_facts = [fact for fact in with_dependents(sent) if fact in mine and fact not in (*planned.conflicts, *errors)]
    refreshed = {name for fact in saved_facts for name in FACTS[fact]}
    return Outcome(
        incident=incident,
        mine={**mine, **{name: now[name] for name in refreshed}},
        base={name: now[name] if name in refreshed else base.get(name, now[name]) for name in NAMES if name in mine},
        saved=tuple(sent),
        conflicts={name: now[name] for fact in planned.conflicts for name in FACTS[fact]},
        errors=errors,
        warnings=warnings,
    )
