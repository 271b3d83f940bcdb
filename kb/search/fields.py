"""The fields a query may name, each declared once: its name, what people call it by mistake, and how a value reads.

To add a field, add an entry to `FIELDS` and let the engines compile the filter that it makes. Values that depend on
the record's content (patterns, organizations, teams, services) are only normalised; an engine that knows no such
value finds nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TypeVar

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

# Field name, values as written, and the whole `field:value` as written. None: a value cannot be read.
Reader = Callable[[str, Sequence[str], str], Node | None]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Field:
    """`takes` completes "<name> takes ..."; `aliases` are offered as corrections, not read."""

    name: str
    takes: str
    reader: Reader
    aliases: tuple[str, ...] = ()

    def read(self, values: Sequence[str], text: str) -> Node | None:
        """The condition that any of the values fulfils, or None when one of them cannot be read."""
        return self.reader(self.name, values, text)


def _all(read: Callable[[str], Value | None], values: Iterable[str]) -> tuple[Value, ...] | None:
    """Every value read, without repetitions, or None when one cannot be."""
    found: dict[Value, None] = {}
    for value in values:
        one = read(value)
        if one is None:
            return None
        found[one] = None
    return tuple(found)


def _key(value: str) -> str:
    return "_".join(value.casefold().replace("-", " ").replace("_", " ").split())


def _in_words(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _choice(name: str, *choices: str, also: dict[str, str] | None = None, aliases: tuple[str, ...] = ()) -> Field:
    """A field with a closed list of values; `also` maps other spellings to them."""
    known = {_key(choice): choice for choice in choices} | {_key(key): value for key, value in (also or {}).items()}

    def read(name: str, values: Sequence[str], text: str) -> Node | None:
        found = _all(lambda value: known.get(_key(value)), values)
        return found and ChoiceFilter(name, found, text=text)

    return Field(name, _in_words(choices), read, aliases)


def _flags(name: str, **flags: str) -> Field:
    """A field whose every value stands for a value of another one, given as `field=value`."""
    known = {_key(flag): tuple(target.split("=")) for flag, target in flags.items()}

    def read(name: str, values: Sequence[str], text: str) -> Node | None:
        found = _all(lambda value: known.get(_key(value)), values)
        if found is None:
            return None
        fields = dict.fromkeys(field for field, _ in found)
        return disjunction(
            ChoiceFilter(field, tuple(value for of, value in found if of == field), text=text) for field in fields
        )

    return Field(name, _in_words([flag.replace("_", "-") for flag in flags]), read)


def _name(value: str) -> str | None:
    """A name as it is compared: compatibility forms, case and space do not count."""
    name = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return name if fold(value) and len(name) <= MAX_NAME else None


def _slug(value: str) -> str | None:
    slug = _key(value).replace("_", "-")
    return slug if re.fullmatch(r"[a-z]+(?:-[a-z]+)*", slug) and len(slug) <= MAX_NAME else None


def _words(read: Callable[[str], str | None]) -> Reader:
    def reader(name: str, values: Sequence[str], text: str) -> Node | None:
        found = _all(read, values)
        return found and ChoiceFilter(name, found, text=text)

    return reader


def _reference(value: str) -> int | None:
    match = re.fullmatch(r"(?:inc-)?([0-9]{1,9})", value, re.IGNORECASE)
    return int(match[1]) or None if match else None


def _numbers(name: str, values: Sequence[str], text: str) -> Node | None:
    found = _all(_reference, values)
    return found and NumberFilter(name, found, text=text)


_RANGE = re.compile(r"(?P<low>[^.<>=]*)\.\.(?P<high>[^.<>=]*)")
_COMPARISON = re.compile(r"(?P<sign>[<>]=?)(?P<value>[^.<>=]+)")
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?")
_LENGTH = re.compile(r"(?=.)(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_SECONDS = (604_800, 86_400, 3_600, 60, 1)

Moment = TypeVar("Moment", datetime, int)
# Where a value such as `2019` or `2h` begins, and where the next such value begins.
Extent = Callable[[str], tuple[Moment, Moment | None] | None]


def _period(value: str) -> tuple[datetime, datetime | None] | None:
    """The year, month or day: its first moment, and the first one after it (None after the year 9999)."""
    match = _DAY.fullmatch(value)
    if not match:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None  # noqa: S101 - the first group of the expression is not optional
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    except ValueError:
        return None
    try:
        if day:
            return start, datetime.fromordinal(start.toordinal() + 1).replace(tzinfo=UTC)
        if month and month < 12:
            return start, start.replace(month=month + 1)
        return start, start.replace(year=year + 1, month=1)
    except (ValueError, OverflowError):
        return start, None


def _length(value: str) -> tuple[int, int] | None:
    """Seconds: `1h30m` is from 90 minutes to less than 91, as the smallest unit named."""
    match = _LENGTH.fullmatch(value.casefold())
    if not match:
        return None
    units = [(int(count) * unit, unit) for count, unit in zip(match.groups(), _SECONDS, strict=True) if count]
    seconds = sum(seconds for seconds, _ in units)
    return seconds, seconds + units[-1][1]


def _span(
    value: str, extent: Extent[Moment], after: Callable[[Moment, Moment | None], Moment | None]
) -> tuple[Moment | None, Moment | None] | None:
    """The half-open span of `x`, `x..y`, `x..`, `..y`, `>x`, `>=x`, `<x` and `<=x`, or None.

    `after` tells from the extent of a value what lies beyond it: beyond the whole of a year, beyond one length.
    """
    value = "".join(value.split())
    if comparison := _COMPARISON.fullmatch(value):
        found = extent(comparison["value"])
        if found is None:
            return None
        match comparison["sign"]:
            case ">=":
                span = found[0], None
            case ">":
                span = after(*found), None
            case "<":
                span = None, found[0]
            case _:
                span = None, after(*found)
        return None if span == (None, None) else span
    bounds = _RANGE.fullmatch(value)
    if not bounds:
        return extent(value)
    low, high = (extent(bounds[end]) if bounds[end] else (None, None) for end in ("low", "high"))
    if low is None or high is None or (low[0] is None and high[0] is None):
        return None
    start, end = low[0], after(*high) if high[0] is not None else None
    return None if start is not None and end is not None and start >= end else (start, end)


def _date_span(value: str) -> DateSpan | None:
    span = _span(value, _period, lambda start, end: end)
    return DateSpan(*span) if span else None


def _second_span(value: str) -> SecondSpan | None:
    span = _span(value, _length, lambda start, end: start + 1)
    return SecondSpan(*span) if span else None


def _dates(name: str, values: Sequence[str], text: str) -> Node | None:
    found = _all(_date_span, values)
    return found and DateFilter(name, found, text=text)


def _durations(name: str, values: Sequence[str], text: str) -> Node | None:
    found = _all(_second_span, values)
    return found and DurationFilter(name, found, text=text)


FIELDS = (
    Field("org", "the name of an organization", _words(_name), ("organization", "organisation", "company")),
    _choice(
        "severity",
        *("sev1", "sev2", "sev3", "sev4", "unknown"),
        also={"1": "sev1", "2": "sev2", "3": "sev3", "4": "sev4"},
        aliases=("sev", "priority"),
    ),
    _choice("status", "draft", "in_review", "published", "archived", aliases=("state",)),
    _choice("origin", "own", "famous", "imported", also={"ours": "own"}),
    Field("pattern", "a pattern such as retry-storm", _words(_slug), ("tag",)),
    _choice(
        "family",
        *("change", "load", "network", "data", "dependency", "trust", "time", "physical", "code", "response"),
    ),
    Field("team", "the name of a team", _words(_name), ("owner",)),
    Field("service", "the name of a service", _words(_name), ("svc", "component")),
    Field(
        "started",
        "a year, month or day, or a range of them, such as 2019, 2019-07, 2019..2021 or >=2019-07-02",
        _dates,
        ("start", "date", "year", "when"),
    ),
    Field(
        "duration",
        "a length of time or a range of them, such as >1h, 30m..6h or <90s",
        _durations,
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
        *("timeline", "causes", "lessons", "actions", "open-actions", "sources", "links", "revision"),
        *("customer-message", "patterns"),
    ),
    _choice("detected", *("alert", "customer", "staff", "outsider"), aliases=("detected_by", "detection")),
    _choice(
        "mitigation",
        *("rollback", "fix_forward", "failover", "restart", "restore", "throttle", "add_capacity", "isolate"),
        *("wait", "other"),
        aliases=("mitigated", "mitigated_by"),
    ),
    Field("ref", "a number such as INC-12", _numbers, ("inc", "id")),
)

_BY_NAME = {field.name: field for field in FIELDS}


def known(name: str) -> Field | None:
    """The field of that name, in any case."""
    return _BY_NAME.get(name.casefold())


@cache
def _called() -> dict[str, Field]:
    return {called: field for field in FIELDS for called in (field.name, *field.aliases)}


@lru_cache(maxsize=1024)
def meant(name: str) -> Field | None:
    """The field that an unknown name is probably a slip for: another word for it, or one or two slips away."""
    name = name.casefold()
    called = _called()
    if name in called:
        return called[name]
    # One slip in a short name is as much as two in a long one; in two letters it is any name.
    slips = 0 if len(name) < 3 else 1 if len(name) < 6 else 2
    near = [(distance, field) for word, field in called.items() if (distance := _slips(name, word)) <= slips]
    return min(near, key=lambda one: one[0])[1] if near else None


def _slips(one: str, other: str) -> int:
    """Optimal string alignment distance: letters added, left out, mistaken, or swapped with the next."""
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
