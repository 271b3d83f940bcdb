"""Public outages by the calendar: what began on this day in another year, and one for every week."""

from __future__ import annotations

from datetime import date
from itertools import count as upward
from math import gcd

from django.db.models import QuerySet
from django.utils import timezone

from incidents import scopes
from incidents.durations import Moment, moved
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Precision, Status
from kb.search.service import SearchRequest, search
from kb.web.search.hits import Hit, hits

MOST = 3
KNOWN_TO_THE_DAY = (Precision.SECOND, Precision.MINUTE, Precision.HOUR, Precision.DAY)


def on_this_day(viewer: Viewer, today: date) -> list[Hit]:
    """Outages that began on this day of the year, as far as their day is known; the latest first."""
    known = _outages(viewer).filter(started_precision__in=KNOWN_TO_THE_DAY).order_by("-started_at", "-pk")
    began = (
        (pk, _day(Moment(at, Precision(precision)), zone))
        for pk, at, precision, zone in known.values_list("pk", "started_at", "started_precision", "time_zone")
    )
    return _hits(viewer, [pk for pk, day in began if (day.month, day.day) == (today.month, today.day)][:MOST])


def _day(began: Moment, zone: str) -> date:
    """The one that pages show: as published in `zone`, or of a time on the reader's calendar."""
    if began.precision is Precision.DAY:
        return moved(began, old=zone, new="UTC").at.date()
    return timezone.localtime(began.at).date()


def of_the_week(viewer: Viewer, today: date) -> Hit | None:
    """The same outage for everybody all week, another the next, until each had its turn."""
    every = _outages(viewer).order_by("external_id")
    count = every.count()
    if not count:
        return None
    return next(iter(_hits(viewer, [every.values_list("pk", flat=True)[turn(today, count)]])), None)


def turn(today: date, count: int) -> int:
    """Whose week it is, of so many in a list. The step shares no divisor with their number, so that it comes by each,
    and neighbours in the list are weeks apart."""
    step = next(step for step in upward(47) if gcd(step, count) == 1)
    return (today.toordinal() - 1) // 7 * step % count


def _outages(viewer: Viewer) -> QuerySet[Incident]:
    return scopes.visible_incidents(viewer).filter(origin=Origin.FAMOUS, status=Status.PUBLISHED)


def _hits(viewer: Viewer, ids: list[int]) -> list[Hit]:
    if not ids:
        return []
    numbers = ",".join(map(str, ids))
    return hits(search(viewer, SearchRequest(q=f"ref:{numbers}", sort="newest", page_size=MOST)))
