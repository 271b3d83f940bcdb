"""Query parameters: each operation declares its own, and a request with any other is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from incidents.errors import Invalid
from kb.api.problems import unknown
from kb.api.shapes.parts import Schema, array, choice, text, whole

PAGE_SIZE, LARGEST_PAGE = 20, 100
LONGEST_VALUE = 20_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter. With `many` it can be given more than once."""

    name: str
    description: str
    schema: Schema = field(default_factory=text)
    many: bool = False

    def openapi(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "in": "query",
            "description": f"{self.description} Repeat it to match any of several values."
            if self.many
            else self.description,
            "schema": array(self.schema) if self.many else self.schema,
            **({"style": "form", "explode": True} if self.many else {}),
        }


PAGING = (
    Parameter(
        "page_size",
        f"How many results a page has; {PAGE_SIZE} by default.",
        {**whole(least=1, most=LARGEST_PAGE), "default": PAGE_SIZE},
    ),
    Parameter(
        "cursor", "Where the page begins. Taken from `next` of the previous page, and valid only for the same query."
    ),
)


def one_of(name: str, values: Iterable[str], description: str) -> Parameter:
    return Parameter(name, description, choice(values))


def check(query: QueryDict, known: Iterable[Parameter]) -> None:
    """Refuse unknown and repeated parameters, and values that no database can take. Raises Unknown, Invalid."""
    by_name = {parameter.name: parameter for parameter in known}
    if unknown_names := [name for name in query if name not in by_name]:
        raise unknown("parameter", [name.encode("unicode_escape").decode() for name in unknown_names], by_name)
    problems: dict[str, str] = {}
    for name, values in query.lists():
        if len(values) > 1 and not by_name[name].many:
            problems[name] = "This parameter can be given only once."
        elif any("\x00" in value for value in values):
            problems[name] = "The value contains a NUL character (U+0000). Remove it and try again."
        elif any(len(value) > LONGEST_VALUE for value in values):
            problems[name] = f"This can have at most {LONGEST_VALUE:,} characters."
    if problems:
        raise Invalid(problems)


def page_size(query: QueryDict) -> int:
    """The requested page size, or the default. Raises Invalid unless it is from 1 to LARGEST_PAGE."""
    value = query.get("page_size", str(PAGE_SIZE))
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= LARGEST_PAGE):
        raise Invalid({"page_size": f"This must be a whole number from 1 to {LARGEST_PAGE}."})
    return int(value)


def chosen(query: QueryDict, parameter: Parameter) -> str | None:
    """The value of an enumerated parameter, or None if it is absent. Raises Invalid for any other value."""
    value = query.get(parameter.name)
    values = parameter.schema["enum"]
    if value is not None and value not in values:
        raise Invalid({parameter.name: f"Choose one of {', '.join(values)}."})
    return value
