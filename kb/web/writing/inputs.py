"""Form fields as the editor draws them: what they are called, how they are typed, what stands in them, what is wrong.

They carry no rules of their own. Reading and refusing is the business of the actions, whose messages come back by name.
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
    """One field. `card` makes its id unique on the page; `form` names its form when it stands outside of it.

    `values` holds what several boxes or lines hold together, `value` everything else. `suggestions` is a datalist's id.
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
        """The ids of the hint and of the place where errors are said, as aria-describedby wants them."""
        return f"{self.id}-hint {self.id}-said" if self.hint else f"{self.id}-said"

    @property
    def options(self) -> SafeString:
        """The choices as the options of a select."""
        return _options(self.choices, self.value)

    @property
    def spare_lines(self) -> tuple[str, ...]:
        """What the lines hold, and one empty line to go on."""
        return (*self.values, "")


# Five hundred time zones took a third of what an editor takes to draw.
@lru_cache(maxsize=64)
def _options(choices: tuple[Choice, ...], chosen: str) -> SafeString:
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((c.value, " selected" if c.value == chosen else "", c.label) for c in choices),
    )


def choices_of(labels: Iterable[tuple[Any, Any]], *, none: str | None = None) -> tuple[Choice, ...]:
    """The choices of a word list, `none` first when nothing may be chosen."""
    empty = () if none is None else (Choice("", none),)
    return (*empty, *(Choice(str(value), str(label)) for value, label in labels))


def filled(
    inputs: Iterable[Input],
    values: Mapping[str, str | tuple[str, ...]],
    *,
    card: str,
    errors: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Input]:
    """The inputs with what stands in them."""
    out = []
    for plain in inputs:
        value = values.get(plain.name, "")
        out.append(
            replace(
                plain,
                card=card,
                value=value if isinstance(value, str) else "",
                values=value if isinstance(value, tuple) else (),
                errors=tuple((errors or {}).get(plain.name, ())),
            )
        )
    return out


def incomplete(name: str) -> Invalid:
    """A form without what it was opened with, such as one that was sent by hand."""
    return Invalid({name: "This form is incomplete. Reload the page and try again."})


def by_name(fields: Mapping[str, list[str]], names: Iterable[str], *, path: str = "") -> dict[str, tuple[str, ...]]:
    """An action's problems by the input they belong to; `services.2` is one of `services`. The rest stands under ""."""
    known = set(names)
    out: dict[str, tuple[str, ...]] = {}
    for place, messages in fields.items():
        name = place.removeprefix(path).split(".")[0]
        key = name if name in known else ""
        out[key] = (*out.get(key, ()), *messages)
    return out
