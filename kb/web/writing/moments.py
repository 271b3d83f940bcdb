"""Times as they are typed in the editor: 2026-03-31 14:05 in the incident's zone, as far as they are known; or 14:05.

The offset is left out on purpose: the zone stands once, beside the times.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from incidents.durations import Moment, read_moment, written
from incidents.errors import Invalid
from incidents.models import Incident
from incidents.vocabulary import Precision
from kb.web.writing.inputs import Choice, choices_of

# Everything but the hour is as precise as it is written; the coarser ones are there for who writes more than is known.
PRECISIONS: tuple[Choice, ...] = choices_of(
    [(p.value, p.label) for p in (Precision.HOUR, Precision.DAY, Precision.MONTH, Precision.YEAR)],
    none="as written",
)
_OFFSET = re.compile(r"[+-]\d{2}:\d{2}(?::\d{2})?$")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?$")


def typed(moment: Moment | None, zone: str) -> tuple[str, str]:
    """The two form values of a moment: its text, and the precision where the text does not tell it."""
    if moment is None:
        return "", ""
    text = written(moment, zone)
    if moment.precision in (Precision.SECOND, Precision.MINUTE, Precision.HOUR):
        text = _OFFSET.sub("", text).replace("T", " ")
    return text, moment.precision.value if moment.precision is Precision.HOUR else ""


def completed(text: str, day: date | None) -> str:
    """`text`, with `day` before a bare clock time."""
    text = text.strip()
    return f"{day:%Y-%m-%d} {text.zfill(5) if len(text) < 6 else text.zfill(8)}" if day and _CLOCK.match(text) else text


def with_offset(text: str, zone: str) -> str:
    """A time of `zone`, as an incident reads it whose times are in another one. What is no time stays as it is."""
    try:
        moment = read_moment("at", text, zone=zone)
    except Invalid:
        return text
    return written(moment, zone) if moment else text


def for_action(text: str, precision: str, *, day: date | None = None, zone: str = "") -> dict[str, Any] | None:
    """What actions take: as precise as it is written unless a precision is chosen; None when nothing is typed.

    `zone` is the one in which it was typed, when that may not be the incident's any more.
    """
    text = completed(text, day)
    if zone:
        text = with_offset(text, zone)
    return {"at": text, "precision": precision or None} if text else None


def day_of(incident: Incident, typed_start: str = "") -> date | None:
    """The day that bare clock times belong to: the one on which it started, as just typed or else as it is known."""
    try:
        return date.fromisoformat(typed_start[:10])
    except ValueError:
        started = incident.moment("started") or incident.moment("detected")
        return started.at.astimezone(ZoneInfo(incident.time_zone)).date() if started else None
