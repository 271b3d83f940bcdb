"""Parses lines pasted from a chat, a pager or a shell into timeline events. Pure: it saves nothing.

A line that starts with a time is an event; any other line belongs to the event above it. When the clock jumps back by
more than half a day, a new day has started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

MAX_LINES = 500

_BULLET = r"[\s>*\u2022\u2023\u2013\u2014-]*"
_DATE = r"(?P<date>\d{4}-\d{2}-\d{2})"
_CLOCK = r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?"
_AM_PM = r"(?:\s?(?P<am_pm>[AaPp])\.?[Mm]\.?(?![A-Za-z]))?"
_ZONE = r"(?P<offset>Z(?![A-Za-z])|\s?UTC(?![A-Za-z+-])|[+-]\d{2}:?\d{2}(?!\d))?"
_LINE = re.compile(
    rf"{_BULLET}[\[(]?(?:{_DATE}[T ,]\s*)?{_CLOCK}{_AM_PM}{_ZONE}[\])]?(?!\d)\s*[:|,;.\u2013\u2014-]*\s*(?P<text>.*)$"
)


@dataclass(frozen=True, slots=True)
class PastedEvent:
    """One event. `at` is written as in the editor, plus the offset if the line had one."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class ParsedPaste:
    events: list[PastedEvent]
    skipped: list[str]


def parse(text: str, *, day: date) -> ParsedPaste:
    """The events in `text`, and the lines that could not be read.

    A line without a date is on the day of the event before it, or on the next day if its clock jumps back; the first
    one is on `day`.
    """
    events: list[PastedEvent] = []
    skipped: list[str] = []
    before: datetime | None = None
    for line in text.splitlines()[:MAX_LINES]:
        if not line.strip():
            continue
        match = _LINE.match(line)
        clock = _clock(match) if match else None
        if match is None or clock is None:
            if events:
                events[-1] = replace(events[-1], text=f"{events[-1].text}\n{line.strip()}".strip())
            else:
                skipped.append(line.strip())
            continue
        on = _day(match, clock, before, day)
        if on is None:
            skipped.append(line.strip())
            continue
        before = datetime.combine(on, clock)
        written = f"{on:%Y-%m-%d} {clock:%H:%M:%S}" if match["second"] else f"{on:%Y-%m-%d} {clock:%H:%M}"
        events.append(PastedEvent(written + _offset(match), match["text"].strip()))
    skipped += [line.strip() for line in text.splitlines()[MAX_LINES:] if line.strip()]
    return ParsedPaste(events, skipped)


def _clock(match: re.Match[str]) -> time | None:
    hour = int(match["hour"])
    if match["am_pm"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["am_pm"] in "Pp" else 0)
    return time(hour, int(match["minute"]), int(match["second"] or 0))


def _day(match: re.Match[str], clock: time, before: datetime | None, day: date) -> date | None:
    """The day of a line, or None when its date does not exist."""
    if match["date"]:
        try:
            return date.fromisoformat(match["date"])
        except ValueError:
            return None
    if before is None:
        return day
    same_day = datetime.combine(before.date(), clock)
    try:
        return (same_day + timedelta(days=1)).date() if before - same_day > timedelta(hours=12) else same_day.date()
    except OverflowError:
        return same_day.date()


def _offset(match: re.Match[str]) -> str:
    offset = (match["offset"] or "").strip()
    return "Z" if offset in ("Z", "UTC") else offset
