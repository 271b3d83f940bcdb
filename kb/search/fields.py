"""The fields of the query language, each declared once: its name, the names people mistake for it, how its values are
read.

To add a field, add an entry to `FIELDS` and have the engines compile the filter it builds. Values that depend on the
content of the record (patterns, organizations, teams, services) are only normalized; an unknown one finds nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar

from incidents.durations import parse_length
from kb.search.analysis import fold
from kb.search.nodes import (
    ChoiceFilter,
    DateFilter,
    DateSpan,
    DurationFilter,
    Node,
    NumberFilter,
    SecondSpan,
    disjunction,
)

MAX_NAME = 200

Value = TypeVar("Value")
Moment = TypeVar("Moment", datetime, int)


@dataclass(frozen=True, slots=True)
class Field(Generic[Value]):
    """One field. `takes` completes the sentence "<name> takes ..."; `aliases` lead to corrections and are not read."""

    name: str
    takes: str
    value: Callable[[str], Value | None]
    build: Callable[[str, tuple[Value, ...], str], Node | None]
    aliases: tuple[str, ...] = ()

    def read(self, values: Sequence[str], text: str) -> Node | None:
        """The condition that any of the values satisfies, or None if one of them cannot be read.

        `text` is the whole filter as it was written.
        """
        found: dict[Value, None] = {}
        for value in values:
            one = self.value(value)
            if one is None:
                return None
            found[one] = None
        return self.build(self.name, tuple(found), text) if found else None


def _parts(value: str) -> list[str]:
    return value.casefold().replace("-", " ").replace("_", " ").split()


def _key(value: str) -> str:
    """A value of a closed list as it is compared: `SEV-1`, `sev 1` and `sev1` are the same."""
    return "".join(_parts(value))


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _choice(name: str, *choices: str, also: dict[str, str] | None = None, aliases: tuple[str, ...] = ()) -> Field[str]:
    """A field with a closed list of values; `also` maps other spellings to them."""
    known = {_key(choice): choice for choice in choices} | (also or {})
    return Field(name, _either(choices), lambda value: known.get(_key(value)), ChoiceFilter, aliases)


def _flags(name: str, **flags: str) -> Field[tuple[str, str]]:
    """A field whose values are shorthand for values of other fields, given as `field=value`."""
    known = {_key(flag): (target.split("=")[0], target.split("=")[1]) for flag, target in flags.items()}

    def build(name: str, found: tuple[tuple[str, str], ...], text: str) -> Node | None:
        fields = dict.fromkeys(field for field, _ in found)
        return disjunction(
            ChoiceFilter(field, tuple(value for of, value in found if of == field), text) for field in fields
        )

    takes = _either([flag.replace("_", "-") for flag in flags])
    return Field(name, takes, lambda value: known.get(_key(value)), build)


def fold_name(name: str) -> str:
    """The form in which names are compared, regardless of compatibility forms, case and extra white space."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _name(value: str) -> str | None:
    name = fold_name(value)
    return name if fold(name) and len(name) <= MAX_NAME else None


def _slug(value: str) -> str | None:
    slug = "-".join(_parts(value))
    return slug if re.fullmatch(r"[a-z]+(?:-[a-z]+)*", slug) and len(slug) <= MAX_NAME else None


def _reference(value: str) -> int | None:
    match = re.fullmatch(r"(?:inc-)?([0-9]{1,9})", value, re.IGNORECASE)
    return int(match[1]) or None if match else None


_RANGE = re.compile(r"([^.<>=]*)\.\.([^.<>=]*)")
_COMPARISON = re.compile(r"([<>]=?)([^.<>=]+)")
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?")


def _period(value: str) -> tuple[datetime, datetime | None] | None:
    """The first moment of a year, month or day, and the first one after it (None after the year 9999)."""
    match = _DAY.fullmatch(value)
    if not match:
        return None
    year, month, day = match.groups()
    try:
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    except ValueError:
        return None
    try:
        if day:
            return start, start + timedelta(days=1)
        if month and start.month < 12:
            return start, start.replace(month=start.month + 1)
        return start, start.replace(year=start.year + 1, month=1)
    except (ValueError, OverflowError):
        return start, None


def _length(value: str) -> tuple[int, int] | None:
    """The span of seconds that a length stands for, to the precision of its smallest unit: `1h30m` is from 90 to less
    than 91 minutes."""
    read = parse_length(value)
    return read and (read[0], sum(read))


def _span(
    value: str,
    extent: Callable[[str], tuple[Moment, Moment | None] | None],
    after: Callable[[Moment, Moment | None], Moment | None],
) -> tuple[Moment | None, Moment | None] | None:
    """The half-open span for `x`, `x..y`, `x..`, `..y`, `>x`, `>=x`, `<x` and `<=x`; None for anything else.

    `extent` returns where a single value begins and where the next one would. From these, `after` returns where
    "greater than" begins: when all of 2019 is over for the year 2019, but one second after an hour for `1h`.
    """
    value = "".join(value.split())
    start: Moment | None = None
    end: Moment | None = None
    if comparison := _COMPARISON.fullmatch(value):
        sign, bound = comparison[1], extent(comparison[2])
        if bound is None:
            return None
        edge = bound[0] if sign in (">=", "<") else after(*bound)
        start, end = (edge, None) if sign[0] == ">" else (None, edge)
    elif bounds := _RANGE.fullmatch(value):
        low, high = extent(bounds[1]), extent(bounds[2])
        if (bounds[1] and low is None) or (bounds[2] and high is None):
            return None
        start, end = low and low[0], high and after(*high)
        if start is not None and end is not None and start >= end:
            return None
    elif single := extent(value):
        start, end = single
    return None if start is None and end is None else (start, end)


def _date_span(value: str) -> DateSpan | None:
    span = _span(value, _period, lambda start, end: end)
    return span and DateSpan(*span)


def _second_span(value: str) -> SecondSpan | None:
    span = _span(value, _length, lambda start, end: start + 1)
    return span and SecondSpan(*span)


FIELDS: tuple[Field[Any], ...] = (
    Field("org", "the name of an organization", _name, ChoiceFilter, ("organization", "organisation", "company")),
    _choice(
        "severity",
        *("sev1", "sev2", "sev3", "sev4", "unknown"),
        also={"1": "sev1", "2": "sev2", "3": "sev3", "4": "sev4"},
        aliases=("sev", "priority"),
    ),
    _choice("status", "draft", "in_review", "published", "archived", aliases=("state",)),
    _choice("origin", "own", "famous", "imported", also={"ours": "own"}),
    Field("pattern", "a pattern such as retry-storm", _slug, ChoiceFilter, ("tag",)),
    _choice(
        "family",
        *("change", "load", "network", "data", "dependency", "trust", "time", "physical", "code", "response"),
    ),
    Field("team", "the name of a team", _name, ChoiceFilter, ("owner",)),
    Field("service", "the name of a service", _name, ChoiceFilter, ("svc", "component")),
    Field(
        "started",
        "a year, month or day, or a range of them, such as 2019, 2019-07, 2019..2021 or >=2019-07-02",
        _date_span,
        DateFilter,
        ("start", "date", "year", "when"),
    ),
    Field(
        "duration",
        "a length of time, or a range of them, such as >1h, 30m..6h or <90s",
        _second_span,
        DurationFilter,
        ("length", "lasted"),
    ),
    _flags(
        "is",
        draft="status=draft",
        in_review="status=in_review",
        published="status=published",
        archived="status=archived",
        public="visibility=public",
        internal="visibility=internal",
        team="visibility=team",
        ours="origin=own",
        famous="origin=famous",
        imported="origin=imported",
        overdue="is=overdue",
    ),
    _choice(
        "has",
        *("timeline", "causes", "lessons", "actions", "open-actions", "sources", "revision"),
        *("customer-message", "patterns"),
    ),
    _choice("detected", *("alert", "customer", "staff", "outsider"), aliases=("detected_by", "detection")),
    _choice(
        "mitigation",
        *("rollback", "fix_forward", "failover", "restart", "restore", "throttle", "add_capacity", "isolate"),
        *("wait", "other"),
        aliases=("mitigated", "mitigated_by"),
    ),
    Field("ref", "the number of an incident, such as INC-12", _reference, NumberFilter, ("inc", "id")),
)

_BY_NAME = {field.name: field for field in FIELDS}


def by_name(name: str) -> Field[Any] | None:
    """The field with that name, in any letter case."""
    return _BY_NAME.get(name.casefold())


@cache
def _by_name_or_alias() -> dict[str, Field[Any]]:
    return {word: field for field in FIELDS for word in (field.name, *field.aliases)}


@lru_cache(maxsize=1024)
def guess(name: str) -> Field[Any] | None:
    """The field that an unknown name probably stands for: by one of its aliases, or by a typo or two."""
    name = name.casefold()
    by_word = _by_name_or_alias()
    if name in by_word:
        return by_word[name]
    # One typo in a short name is as much as two in a long one. In two letters, one typo could give any name.
    limit = 0 if len(name) < 3 else 1 if len(name) < 6 else 2
    near = [(distance, field) for word, field in by_word.items() if (distance := edit_distance(name, word)) <= limit]
    return min(near, key=lambda one: one[0])[1] if near else None


def edit_distance(one: str, other: str) -> int:
    """Optimal string alignment distance: letters added, omitted, replaced, or swapped with the next one. Returns 3
    without counting if the lengths differ by more than 2."""
    if abs(len(one) - len(other)) > 2:
        return 3
    before, last = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
