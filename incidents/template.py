"""Postmortem templates: read from files or from a team, checked, and kept as immutable versions.

A template's definition is data: an ordered list of sections, each prose or records, with guidance. Every template must
have the six sections without which a postmortem cannot be published.
"""

from __future__ import annotations

import json
from collections.abc import Sized
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from django.conf import settings
from jsonschema import Draft202012Validator, ValidationError

from incidents.errors import Invalid
from incidents.models import PostmortemTemplate
from incidents.text import is_blank
from incidents.vocabulary import SectionKind

REQUIRED_TO_PUBLISH = ("summary", "impact", "timeline", "causes", "lessons", "actions")
# Keys of the incident's other searchable texts, which no section can use.
RESERVED = ("title", "ref", "organization", "services", "external_id", "other")
_MEASURED = {"maxItems": "entries", "maxLength": "characters"}
FOLDER: Path = settings.BASE_DIR / "templates" / "postmortem"
# The JSON schema of a definition.
SCHEMA: dict[str, Any] = json.loads((FOLDER.parent / "postmortem.schema.json").read_text(encoding="utf-8"))
MOST_SECTIONS: int = SCHEMA["properties"]["sections"]["maxItems"]
# The sections that hold rows. As prose they would hide the rows that anyone adds to them.
OF_RECORDS: list[str] = SCHEMA["properties"]["sections"]["items"]["properties"]["records"]["enum"]


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """One section as the template defines it. `records` names the record kind of a records section."""

    key: str
    title: str
    kind: SectionKind
    guidance: str
    required: bool
    records: str | None = None


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(SCHEMA)


def check(definition: Any, *, field: str = "definition") -> None:
    """Raises Invalid, naming the place, unless `definition` is a usable template."""
    problems = {
        ".".join([field, *map(str, error.absolute_path)]): _describe_error(error)
        for error in _validator().iter_errors(definition)
    }
    if problems:
        raise Invalid(problems)
    names = {f"{field}.name": definition["name"]}
    names |= {f"{field}.sections.{place}.title": part["title"] for place, part in enumerate(definition["sections"])}
    if nameless := [place for place, name in names.items() if is_blank(name)]:
        raise Invalid(dict.fromkeys(nameless, "This field is required."))
    keys = [section["key"] for section in definition["sections"]]
    if reserved := [key for key in keys if key in RESERVED]:
        raise Invalid({f"{field}.sections": f"The key {reserved[0]} is reserved. Choose another."})
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise Invalid({f"{field}.sections": f"The key {min(twice)} is used twice."})
    if lacking := [key for key in REQUIRED_TO_PUBLISH if key not in keys]:
        raise Invalid({f"{field}.sections": f"Required sections are missing: {', '.join(lacking)}."})
    for place, section in enumerate(definition["sections"]):
        key, records = section["key"], section.get("records")
        if records is None and key in OF_RECORDS:
            problem = f"The section {key} holds rows, so its kind must be records."
            raise Invalid({f"{field}.sections.{place}.kind": problem})
        if records not in (None, key):
            problem = f"Records of kind {records} belong in the section with that key."
            raise Invalid({f"{field}.sections.{place}.records": problem})


def _describe_error(error: ValidationError) -> str:
    """The message about a schema error. It does not repeat a value that is too long."""
    if what := _MEASURED.get(str(error.validator)):
        return f"This can have at most {error.validator_value:,} {what}; it has {len(cast('Sized', error.instance)):,}."
    if error.validator == "minItems":
        return "This needs at least one entry."
    if error.validator == "not":
        return "Only a section of records names records."
    return error.message[:300]


def section_plans(template: PostmortemTemplate) -> list[SectionPlan]:
    """The template's sections in order."""
    return [
        SectionPlan(
            key=section["key"],
            title=section["title"],
            kind=SectionKind(section["kind"]),
            guidance=section.get("guidance", ""),
            required=section["key"] in REQUIRED_TO_PUBLISH or section.get("required", False),
            records=section.get("records"),
        )
        for section in template.definition["sections"]
    ]


def shipped_definitions() -> list[dict[str, Any]]:
    """The definitions under templates/postmortem/, checked."""
    out = []
    for path in sorted(FOLDER.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        check(definition, field=path.name)
        out.append(definition)
    return out


def standard_template() -> PostmortemTemplate:
    """The current version of the standard template."""
    return PostmortemTemplate.objects.get(key="standard", is_current=True)
