"""Moments with a precision, and the durations between them.

A moment is a point in time known to the second, minute, hour, day, month or year; it covers the whole span of that
length. A duration is *measured* when the precision of its ends barely matters, *stated* when only a source gives it,
and *about* when precision makes it uncertain. "About" stays out of statistics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from incidents.errors import Invalid
from incidents.vocabulary import Precision

SPAN = {
    Precision.SECOND: timedelta(seconds=1),
    Precision.MINUTE: timedelta(minutes=1),
    Precision.HOUR: timedelta(hours=1),
    Precision.DAY: timedelta(days=1),
    Precision.MONTH: timedelta(days=31),
    Precision.YEAR: timedelta(days=366),
}
# The years in which a moment can lie.
YEARS = range(1900, 2101)
# The longest duration that a source can state, in seconds.
MAX_STATED_SECONDS = 10**10 - 1
# A duration whose ends are coarser than a minute counts as measured while their spans stay below this share of it.
TOLERATED_UNCERTAINTY = 0.1


class DurationKind(StrEnum):
    MEASURED = "measured"
    STATED = "stated"
    ABOUT = "about"


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is the first instant of the span that `precision` names, as an aware datetime in UTC."""

    at: datetime
    precision: Precision

    @property
    def latest(self) -> datetime:
        return self.at + SPAN[self.precision]

    def surely_before(self, other: Moment) -> bool:
        """True when no instant of this span reaches the other's."""
        return self.latest <= other.at


@dataclass(frozen=True, slots=True)
class Duration:
    seconds: int
    kind: DurationKind
    text: str = ""


def between(start: Moment | None, end: Moment | None) -> Duration | None:
    """The time between two moments. None when one is unknown, the end is earlier, or they are equal and too imprecise
    to give a duration."""
    if start is None or end is None:
        return None
    seconds = int((end.at - start.at).total_seconds())
    if seconds < 0 or (seconds == 0 and max(SPAN[start.precision], SPAN[end.precision]) > SPAN[Precision.MINUTE]):
        return None
    spans = [SPAN[m.precision] for m in (start, end) if SPAN[m.precision] > SPAN[Precision.MINUTE]]
    uncertain = sum(spans, timedelta()).total_seconds() > TOLERATED_UNCERTAINTY * seconds
    return Duration(seconds, DurationKind.ABOUT if uncertain else DurationKind.MEASURED)


def total_duration(
    started: Moment | None,
    resolved: Moment | None,
    *,
    stated_seconds: int | None = None,
    stated_text: str = "",
) -> Duration | None:
    """How long the incident lasted: measured if possible, else as a source states it, else "about"."""
    measured = between(started, resolved)
    if measured and measured.kind is DurationKind.MEASURED:
        return measured
    if stated_seconds:
        return Duration(stated_seconds, DurationKind.STATED, stated_text)
    return measured


_IN_WORDS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def in_words(seconds: int) -> str:
    """As people say it: '45 s', '27 min', '2 h 40 min', '14 d 3 h'. Two units at most."""
    if seconds < 60:
        return f"{seconds} s"
    for (name, size), (below, smaller) in pairwise(_IN_WORDS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            part = rest // smaller
            # Seconds are shown only below ten minutes, where they matter.
            if part and not (name == "min" and whole >= 10):
                return f"{whole} {name} {part} {below}"
            return f"{whole} {name}"
    return f"{seconds} s"


_UNITS = {
    r"w(?:eeks?)?": 604_800,
    r"d(?:ays?)?": 86_400,
    r"h(?:(?:ou)?rs?)?": 3_600,
    r"m(?:in(?:ute)?s?)?": 60,
    r"s(?:ec(?:ond)?s?)?": 1,
}
_LENGTH = re.compile(r"(?=\d)" + "".join(rf"(?:(\d{{1,7}})\s*{unit}\s*)?" for unit in _UNITS), re.IGNORECASE | re.ASCII)


def parse_length(text: str) -> tuple[int, int] | None:
    """A length of time as people write it ('1h30m', '2 h 40 min', '3 days') and the smallest unit that it names, both
    in seconds. None when the text is not a length of time."""
    # Text copied from a page has non-breaking spaces.
    match = _LENGTH.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    units = [(int(count), size) for count, size in zip(match.groups(), _UNITS.values(), strict=True) if count]
    return sum(count * size for count, size in units), units[-1][1]


def format_exactly(seconds: int) -> str:
    """To the second, in the units of `in_words`: '2 h 40 min 5 s'. Read back by `parse_length`."""
    parts = []
    for name, size in _IN_WORDS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {name}"] if count else []
    return " ".join(parts) or "0 s"


def correct_zone(moment: Moment, *, old: str, new: str) -> Moment:
    """The moment after its zone was corrected: a date stays the date as written, a time stays the same instant."""
    if SPAN[moment.precision] < SPAN[Precision.DAY]:
        return moment
    wall = moment.at.astimezone(ZoneInfo(old)).replace(tzinfo=ZoneInfo(new))
    return Moment(wall.astimezone(UTC), moment.precision)


def in_new_zone(moment: Moment, *, old: str, new: str) -> Moment:
    """As `correct_zone`, to be stored: a time known to the hour is again a full hour on the clock of its zone, as it
    would be read."""
    corrected = correct_zone(moment, old=old, new=new)
    if corrected.precision is not Precision.HOUR:
        return corrected
    return Moment(corrected.at.astimezone(ZoneInfo(new)).replace(minute=0).astimezone(UTC), Precision.HOUR)


_MOMENT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:\.\d+)?)?(?P<offset>Z|[+-]\d{2}:?\d{2}(?::\d{2})?)?)?)?)?$",
    re.IGNORECASE | re.ASCII,
)
_ORDER = [Precision.YEAR, Precision.MONTH, Precision.DAY, Precision.HOUR, Precision.MINUTE, Precision.SECOND]


def read_moment(field: str, value: object, *, zone: str = "UTC") -> Moment | None:
    """Read `{"at": ..., "precision": ...}` or a bare string such as 2019, 2019-07-02 or 2019-07-02T13:42Z.

    A time without an offset is in `zone`, and must happen exactly once there. Without a precision it is as precise as
    it is written. Raises Invalid, including for a year outside YEARS.
    """
    moment = _parse_moment(field, value, zone)
    if moment and not is_in_years(moment, zone):
        text = value["at"] if isinstance(value, dict) else value
        raise Invalid({field: f"{text} is outside the years {YEARS[0]} to {YEARS[-1]}."})
    return moment


def read_stored_moment(value: object, *, zone: str = "UTC") -> Moment | None:
    """Read a moment of a stored document, whose times are written in its own `zone`. It was accepted before, so it is
    read even when its year is outside YEARS."""
    return _parse_moment("at", value, zone)


def is_in_years(moment: Moment, zone: str) -> bool:
    """Is the moment's year one of YEARS? Clock times are shown in `zone` and in UTC, so the year must be in both; dates
    only in `zone`."""
    is_date = SPAN[moment.precision] >= SPAN[Precision.DAY]
    return (is_date or moment.at.year in YEARS) and moment.at.astimezone(ZoneInfo(zone)).year in YEARS


def _parse_moment(field: str, value: object, zone: str) -> Moment | None:
    if value in (None, "", {}):
        return None
    precision: str | None = None
    text = value
    if isinstance(value, dict):
        if unknown := set(value) - {"at", "precision"}:
            raise Invalid({f"{field}.{sorted(unknown)[0]}": "Unknown field. Known ones are at, precision."})
        text, precision = value.get("at"), value.get("precision")
    if isinstance(text, datetime):
        text = text.isoformat()
    match = _MOMENT.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise Invalid(
            {field: "Enter a time as 2026-03-31 14:05, or a date, month or year as 2026-03-31, 2026-03 or 2026."}
        )
    parts = match.groupdict()
    finest = _ORDER[sum(parts[p.value] is not None for p in _ORDER) - 1]
    if precision in (None, ""):
        precision = finest.value
    if precision not in Precision.values:
        raise Invalid({f"{field}.precision": f"Choose one of {', '.join(Precision.values)}."})
    known = Precision(precision)
    # `finest` is never HOUR, because an hour is always written with its minutes.
    if _ORDER.index(known) > _ORDER.index(finest):
        raise Invalid({field: f"{text} is not precise {known.label}. Complete it, or choose a coarser precision."})
    is_time = known in (Precision.SECOND, Precision.MINUTE, Precision.HOUR)
    read = _ORDER if is_time else _ORDER[: _ORDER.index(known) + 1]
    kept = {p.value: int(parts[p.value]) for p in read if parts[p.value] is not None}
    try:
        naive = datetime(
            kept["year"],
            kept.get("month", 1),
            kept.get("day", 1),
            kept.get("hour", 0),
            kept.get("minute", 0),
            kept.get("second", 0),
        )
        if parts["offset"] and is_time:
            aware = datetime.fromisoformat(naive.isoformat() + parts["offset"].upper().replace("Z", "+00:00"))
        else:
            aware = naive.replace(tzinfo=ZoneInfo(zone))
            if is_time:
                _check_happens_once(field, text, aware)
        if is_time and known is not Precision.SECOND:
            # Hours and minutes are those of a clock in the incident's zone, whatever offset the writer used.
            local = aware.astimezone(ZoneInfo(zone))
            aware = local.replace(second=0, minute=0 if known is Precision.HOUR else local.minute)
        return Moment(aware.astimezone(UTC), known)
    except (ValueError, OverflowError) as error:
        raise Invalid({field: f"{text} is not a valid date or time."}) from error


def _check_happens_once(field: str, text: object, local: datetime) -> None:
    """Raises Invalid for a local time without an offset that the zone's clock skips or shows twice."""
    # Without a change of the clock, the two are the same instant (PEP 495).
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        raise Invalid(
            {field: f"{text} does not exist in {local.tzinfo}, where the clock skips it. Check the time and the zone."}
        )
    if first < second:
        both = " or ".join(local.replace(fold=fold).isoformat(" ") for fold in (0, 1))
        raise Invalid({field: f"{text} happens twice in {local.tzinfo}. Add the offset: {both}."})


def to_iso(moment: Moment, zone: str = "UTC") -> str:
    """The moment to its precision, in `zone`: 2019-07-02T13:42+00:00, 2008-08, 1996. `read_stored_moment` reads it."""
    local = moment.at.astimezone(ZoneInfo(zone))
    match moment.precision:
        case Precision.YEAR:
            return f"{local:%Y}".zfill(4)
        case Precision.MONTH:
            return f"{local:%Y-%m}"
        case Precision.DAY:
            return f"{local:%Y-%m-%d}"
        case Precision.SECOND:
            return local.isoformat(timespec="seconds")
        case _:
            return local.isoformat(timespec="minutes")


def check_order(times: dict[str, Moment | None], *, planned_change: bool = False) -> list[str]:
    """Refuse times that contradict each other; returns warnings for those that are only unusual.

    `times` has the keys started, detected, mitigated, resolved. Detection before the start is allowed for a planned
    change (someone was watching), with a warning. Raises Invalid.
    """
    warnings: list[str] = []
    started, detected, mitigated, resolved = (times.get(k) for k in ("started", "detected", "mitigated", "resolved"))
    if started and resolved and resolved.surely_before(started):
        raise Invalid({"resolved": "The end is before the start. Check both times and the time zone."})
    if started and mitigated and mitigated.surely_before(started):
        raise Invalid({"mitigated": "The mitigation is before the start. Check both times and the time zone."})
    if mitigated and resolved and resolved.surely_before(mitigated):
        raise Invalid({"resolved": "The end is before the mitigation. Check both times and the time zone."})
    if started and detected and detected.surely_before(started):
        if not planned_change:
            raise Invalid(
                {
                    "detected": "Detection is before the start, which is possible only for a planned change. "
                    "Mark it as one, or check both times and the time zone."
                }
            )
        warnings.append("Detected before the impact began, which can happen with a planned change.")
    if detected and resolved and resolved.surely_before(detected):
        warnings.append("Detected only after the incident was over.")
    return warnings
