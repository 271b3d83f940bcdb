"""Writes an incident and its content at once: facts, sections and rows together, all or nothing.

A body has keys of FACTS and of CONTENT; an absent key means unchanged. Sections are matched by key. Rows are matched by
id: a row without an id is new, a row that is missing from the list is removed. A `version` in a section or row is the
one that the client read; when it is not the current one, nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import transaction

from incidents.actions.change import Change, changing
from incidents.actions.incidents import FACTS, apply_facts, create_incident
from incidents.actions.sections import check_row_versions, replace_rows, rewrite_section, save_sections
from incidents.actions.size import check_size
from incidents.durations import check_order
from incidents.errors import Invalid, Stale
from incidents.models import Incident, PostmortemSection
from incidents.records import KINDS
from incidents.scopes import Viewer
from incidents.vocabulary import Status

CONTENT = ("sections", *KINDS)
# Read-only fields in a list of sections that a client read and sends back.
SECTION_READ_ONLY = frozenset({"id", "title", "kind"})
# Access can be changed at any time; a published text cannot.
ACCESS_FIELDS = frozenset({"visibility", "team"})


def create_with_content(
    *, actor: Viewer, body: Mapping[str, Any], template_key: str = "standard"
) -> tuple[Incident, list[str]]:
    """Start a postmortem with whatever is known already; returns it and warnings about unusual times.

    Raises Invalid, naming as many wrong fields at once as it can, and NotAllowed.
    """
    facts, content = _split_body(body)
    with transaction.atomic():
        incident = create_incident(actor=actor, facts=facts, template_key=template_key)
        if content:
            with changing(actor, incident.pk) as change:
                _raise_all(_content_steps(change, content))
                check_size(change.incident)
            incident = change.incident
    return incident, check_order(incident.times, planned_change=incident.planned_change)


def write_incident(
    *, actor: Viewer, incident_id: int, body: Mapping[str, Any], expected_version: int | None = None
) -> tuple[Incident, list[str]]:
    """Change what the body names; returns the incident and warnings about unusual times.

    Raises Missing, NotAllowed, Stale, WrongState, Invalid.
    """
    facts, content = _split_body(body)
    states = tuple(Status) if set(body) <= ACCESS_FIELDS else (Status.DRAFT, Status.IN_REVIEW)
    warnings: list[str] = []
    with changing(actor, incident_id, expected_version=expected_version, states=states) as change:

        def apply() -> None:
            warnings.extend(apply_facts(change, facts))

        # The facts come first: rows are read in the incident's time zone.
        _raise_all([apply, *_content_steps(change, content)])
        if content:
            check_size(change.incident)
    return change.incident, warnings


def _split_body(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if unknown := [name for name in body if name not in FACTS and name not in CONTENT]:
        raise Invalid({name: f"Unknown field. Known ones are {', '.join([*FACTS, *CONTENT])}." for name in unknown})
    facts = {name: value for name, value in body.items() if name in FACTS}
    return facts, {name: body[name] for name in CONTENT if name in body}


def _raise_all(steps: list[Callable[[], None]]) -> None:
    """Take every step, then raise one Invalid for all that were invalid. The transaction undoes the rest."""
    problems: dict[str, list[str]] = {}
    for step in steps:
        try:
            step()
        except Invalid as error:
            problems.update(error.fields)
    if problems:
        raise Invalid(problems)


def _content_steps(change: Change, content: Mapping[str, Any]) -> list[Callable[[], None]]:
    steps: list[Callable[[], None]] = []
    for name, value in content.items():
        if name == "sections":
            steps += _section_steps(change, dict(_sections(value)))
        else:
            steps.append(_rows_step(change, name, value))
    return steps


def _sections(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(key, what to write) from `{key: {...}}` or from `[{"key": key, ...}]`, the form in which sections are read."""
    if isinstance(value, Mapping):
        entries = [(key, values) for key, values in value.items()]
    elif isinstance(value, list):
        entries = []
        ignored = {"key", *SECTION_READ_ONLY}
        for place, item in enumerate(value):
            if not isinstance(item, Mapping) or not isinstance(item.get("key"), str):
                raise Invalid({f"sections.{place}.key": "Give the key of the section."})
            entries.append((item["key"], {name: inner for name, inner in item.items() if name not in ignored}))
    else:
        raise Invalid({"sections": "This must be an object of sections by key, or a list of sections."})
    seen: set[str] = set()
    for key, values in entries:
        if key in seen:
            raise Invalid({f"sections.{key}": "This section appears twice."})
        if not isinstance(values, Mapping):
            raise Invalid({f"sections.{key}": "This must be an object with body, none_reason, or both."})
        if strange := set(values) - {"body", "none_reason", "version"}:
            raise Invalid(
                {
                    f"sections.{key}.{name}": "Unknown field. Known ones are body, none_reason, version."
                    for name in sorted(strange)
                }
            )
        seen.add(key)
        yield key, values


def _section_steps(change: Change, wanted: Mapping[str, Mapping[str, Any]]) -> list[Callable[[], None]]:
    existing = {section.key: section for section in change.incident.sections.filter(key__in=wanted)}
    changed: list[PostmortemSection] = []

    def section_step(key: str, values: Mapping[str, Any]) -> Callable[[], None]:
        def step() -> None:
            if key not in existing:
                raise Invalid({f"sections.{key}": "The template has no section with this key."})
            if values.get("version", existing[key].version) != existing[key].version:
                raise Stale(existing[key].version, field=f"sections.{key}.version")
            texts = {name: values[name] or "" for name in ("body", "none_reason") if name in values}
            if rewrite_section(change, existing[key], **texts):
                changed.append(existing[key])

        return step

    return [*(section_step(key, values) for key, values in wanted.items()), lambda: save_sections(changed)]


def _rows_step(change: Change, name: str, wanted: Any) -> Callable[[], None]:
    # Checked before any step is taken: a new time zone raises the versions of the rows that it moves.
    check_row_versions(change, KINDS[name], wanted)

    def step() -> None:
        if not isinstance(wanted, list):
            raise Invalid({name: "This must be a list."})
        replace_rows(change, KINDS[name], wanted)

    return step
