"""Times as typed in the editor: "2026-03-31 14:05" in the incident's zone, or as much of it as is known; or "14:05".

There is no offset on purpose: the zone is shown once, next to the times. Only a time that the clock of the zone showed
twice needs one, and is shown with it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from incidents.durations import Moment, read_moment, to_iso
from incidents.errors import Invalid
from incidents.models import Incident
from incidents.vocabulary import Precision
from kb.web.writing.inputs import Choice, choices_of

# Every precision but the hour shows in the text. The coarser choices are for times typed in more detail than is known.
PRECISIONS: tuple[Choice, ...] = choices_of(
    [(p.value, p.label) for p in (Precision.HOUR, Precision.DAY, Precision.MONTH, Precision.YEAR)],
    none="as written",
)
_OFFSET = re.compile(r"[+-]\d{2}:\d{2}(?::\d{2})?$")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?$")


def form_values(moment: Moment | None, zone: str) -> tuple[str, str]:
    """The two form values of a moment: its text, and its precision where the text does not show it."""
    if moment is None:
        return "", ""
    text = to_iso(moment, zone)
    if moment.precision in (Precision.SECOND, Precision.MINUTE, Precision.HOUR):
        bare = _OFFSET.sub("", text)
        text = (bare if with_offset(bare, zone) == text else text).replace("T", " ")
    return text, moment.precision.value if moment.precision is Precision.HOUR else ""


def with_day(text: str, day: date | None) -> str:
    """`text`, with `day` put before a time without a date."""
    text = text.strip()
    return f"{day:%Y-%m-%d} {text.zfill(5) if len(text) < 6 else text.zfill(8)}" if day and _CLOCK.match(text) else text


def with_offset(text: str, zone: str) -> str:
    """A time in `zone`, with its offset, so that it is unambiguous. Text that is not a time is returned unchanged."""
    try:
        moment = read_moment("at", text, zone=zone)
    except Invalid:
        return text
    return to_iso(moment, zone) if moment else text


def action_value(text: str, precision: str, *, day: date | None = None, zone: str = "") -> dict[str, Any] | None:
    """The value for the action, or None when nothing is typed. The precision is the chosen one, or that of the text.

    `day` is the day of a time without a date. `zone` is the zone in which the time was typed, for when the incident's
    own zone may have changed since.
    """
    text = with_day(text, day)
    if zone:
        text = with_offset(text, zone)
    return {"at": text, "precision": precision or None} if text else None


def default_day(incident: Incident, typed_start: str = "") -> date | None:
    """The day of times without a date: the day the incident started, as just typed or else as saved."""
    try:
        return date.fromisoformat(typed_start[:10])
    except ValueError:
        started = incident.moment("started") or incident.moment("detected")
        return started.at.astimezone(ZoneInfo(incident.time_zone)).date() if started else None
