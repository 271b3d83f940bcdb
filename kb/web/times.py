"""Moments and durations in words, as precise as they are known.

A moment known to the hour or better is an instant and is shown in the reader's time zone, with UTC next to it. A day,
month or year is a date on the publisher's calendar and is shown as published, so that no conversion can turn it into
the day before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from incidents.durations import Duration, DurationKind, Moment, between, in_words, read_stored_moment, to_iso
from incidents.errors import Invalid
from incidents.vocabulary import Precision

INSTANT_PRECISIONS = (Precision.SECOND, Precision.MINUTE, Precision.HOUR)


@dataclass(frozen=True, slots=True)
class FormattedMoment:
    """A moment in words. `iso` is the value for a `datetime` attribute, `utc` the whole moment in UTC.

    `clock` and `utc` are empty unless the moment is an instant.
    """

    day: str
    clock: str
    iso: str
    utc: str

    @property
    def whole(self) -> str:
        return f"{self.day}, {self.clock}" if self.clock else self.day


def local(moment: Moment, *, zone: str) -> datetime:
    """The moment in the zone it is shown in: the reader's for an instant, `zone` for a date."""
    return moment.at.astimezone(
        timezone.get_current_timezone() if moment.precision in INSTANT_PRECISIONS else ZoneInfo(zone)
    )


def format_moment(moment: Moment, *, zone: str = "UTC") -> FormattedMoment:
    """The moment in words. `zone` is the one it was published in; the reader's is Django's active zone."""
    shown = local(moment, zone=zone)
    if moment.precision not in INSTANT_PRECISIONS:
        return FormattedMoment(_date(shown, moment.precision), "", to_iso(moment, zone), "")
    in_utc = moment.at.astimezone(UTC)
    return FormattedMoment(
        day=_date(shown, Precision.DAY),
        clock=_clock(shown, moment.precision),
        iso=moment.at.isoformat(),
        utc=f"{_date(in_utc, Precision.DAY)}, {_clock(in_utc, moment.precision)} UTC",
    )


def format_timestamp(at: datetime) -> FormattedMoment:
    """A timestamp recorded by Precedent, such as a publication, shown to the minute."""
    return format_moment(Moment(at, Precision.MINUTE))


def _date(at: datetime, precision: Precision) -> str:
    match precision:
        case Precision.YEAR:
            return f"{at.year}"
        case Precision.MONTH:
            return f"{at:%B} {at.year}"
        case _:
            return f"{at.day} {at:%B} {at.year}"


def _clock(at: datetime, precision: Precision) -> str:
    match precision:
        case Precision.SECOND:
            return f"{at:%H:%M:%S}"
        case Precision.HOUR:
            return f"about {at:%H:%M}"
        case _:
            return f"{at:%H:%M}"


def known_duration(start: Moment | None, end: Moment | None) -> Duration | None:
    """The time from `start` to `end`. None when either is unknown, or too coarse to tell which of them is earlier."""
    duration = between(start, end)
    if start is None or end is None or duration is None or duration.kind is DurationKind.MEASURED:
        return duration
    return duration if start.surely_before(end) else None


def duration_words(duration: Duration) -> str:
    """For example "27 min", or "about 4 h" when the precision of its ends makes it uncertain."""
    words = in_words(duration.seconds)
    return f"about {words}" if duration.kind is DurationKind.ABOUT else words


def partial_date_words(text: str) -> str:
    """The date in words, of 2019, 2019-07 or 2019-07-12. Text that is not a valid date is returned unchanged."""
    try:
        moment = read_stored_moment(text)
    except Invalid:
        return text
    return format_moment(moment).day if moment else ""
