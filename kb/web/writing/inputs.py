"""Form fields as the editor draws them: label, shape, value and errors.

They do not validate. The actions do, and their errors are matched to fields by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from incidents.errors import Invalid


class Shape(StrEnum):
    LINE = "line"
    TEXT = "text"
    CHOICE = "choice"
    RADIO = "radio"
    CHECKS = "checks"
    LINES = "lines"
    FLAG = "flag"
    DAY = "day"
    URL = "url"
    EMAIL = "email"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """One field. `card` makes its id unique on the page; `form` is the id of its form when it is placed outside of it.

    Fields of several boxes or lines use `values`, all others `value`. `suggestions` is the id of a datalist. `theirs`
    is a conflicting value that another user saved.
    """

    name: str
    label: str
    shape: Shape = Shape.LINE
    hint: str = ""
    size: str = ""
    choices: tuple[Choice, ...] = ()
    suggestions: str = ""
    placeholder: str = ""
    required: bool = False
    more: bool = False
    card: str = ""
    form: str = ""
    value: str = ""
    values: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    theirs: str | None = None

    @property
    def id(self) -> str:
        return f"{self.card}-{self.name}"

    @property
    def described_by(self) -> str:
        """The ids of the hint and of the error messages, for aria-describedby."""
        return f"{self.id}-hint {self.id}-said" if self.hint else f"{self.id}-said"

    @property
    def options(self) -> SafeString:
        """The choices as <option> elements."""
        return _options(self.choices, self.value)

    @property
    def spare_lines(self) -> tuple[str, ...]:
        """The lines, and one empty line to add another."""
        return (*self.values, "")


# Cached, because the five hundred time zones took a third of the time to render the editor.
@lru_cache(maxsize=64)
def _options(choices: tuple[Choice, ...], chosen: str) -> SafeString:
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((c.value, " selected" if c.value == chosen else "", c.label) for c in choices),
    )


def choices_of(labels: Iterable[tuple[Any, Any]], *, none: str | None = None) -> tuple[Choice, ...]:
    """Choices from (value, label) pairs. `none` is the label of an empty first choice, if there is one."""
    empty = () if none is None else (Choice("", none),)
    return (*empty, *(Choice(str(value), str(label)) for value, label in labels))


def filled(
    inputs: Iterable[Input],
    values: Mapping[str, str | tuple[str, ...]],
    *,
    card: str,
    errors: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Input]:
    """The inputs with their values and errors."""
    out = []
    for input in inputs:
        value = values.get(input.name, "")
        out.append(
            replace(
                input,
                card=card,
                value=value if isinstance(value, str) else "",
                values=value if isinstance(value, tuple) else (),
                errors=tuple((errors or {}).get(input.name, ())),
            )
        )
    return out


def incomplete_form(name: str) -> Invalid:
    """The error for a form without its hidden values, such as one sent by hand."""
    return Invalid({name: "This form is incomplete. Reload the page and try again."})


def errors_by_input(
    fields: Mapping[str, list[str]], names: Iterable[str], *, path: str = ""
) -> dict[str, tuple[str, ...]]:
    """An action's errors by input: those of `services.2` belong to `services`, and those of no input to ""."""
    known = set(names)
    out: dict[str, tuple[str, ...]] = {}
    for place, messages in fields.items():
        name = place.removeprefix(path).split(".")[0]
        key = name if name in known else ""
        out[key] = (*out.get(key, ()), *messages)
    return out
