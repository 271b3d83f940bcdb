"""Famous outages by the calendar: those that started on this day in earlier years, and one for each week."""

from __future__ import annotations

from datetime import date
from itertools import count as upward
from math import gcd

from django.db.models import QuerySet
from django.utils import timezone

from incidents import scopes
from incidents.durations import Moment, correct_zone
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Precision, Status
from kb.search.service import SearchRequest, search
from kb.web.search.hits import Hit, hits

MAX_OUTAGES = 3
KNOWN_TO_THE_DAY = (Precision.SECOND, Precision.MINUTE, Precision.HOUR, Precision.DAY)


def on_this_day(viewer: Viewer, today: date) -> list[Hit]:
    """Outages that started on this day of the year, latest first. Outages without a known day are left out."""
    known = _outages(viewer).filter(started_precision__in=KNOWN_TO_THE_DAY).order_by("-started_at", "-pk")
    began = (
        (pk, _day(Moment(at, Precision(precision)), zone))
        for pk, at, precision, zone in known.values_list("pk", "started_at", "started_precision", "time_zone")
    )
    return _hits(viewer, [pk for pk, day in began if (day.month, day.day) == (today.month, today.day)][:MAX_OUTAGES])


def _day(began: Moment, zone: str) -> date:
    """The start day that pages show: a date as published in `zone`, an instant on the reader's calendar."""
    if began.precision is Precision.DAY:
        return correct_zone(began, old=zone, new="UTC").at.date()
    return timezone.localtime(began.at).date()


def of_the_week(viewer: Viewer, today: date) -> Hit | None:
    """The outage of the week: the same for all viewers with the same access. Each has its turn before any repeats."""
    outages = _outages(viewer).order_by("external_id")
    count = outages.count()
    if not count:
        return None
    return next(iter(_hits(viewer, [outages.values_list("pk", flat=True)[weekly_index(today, count)]])), None)


def weekly_index(today: date, count: int) -> int:
    """The index, below `count`, of the entry whose week it is.

    The step is coprime to `count`, so every entry gets a week, and neighbors in the list are weeks apart.
    """
    step = next(step for step in upward(47) if gcd(step, count) == 1)
    return (today.toordinal() - 1) // 7 * step % count


def _outages(viewer: Viewer) -> QuerySet[Incident]:
    return scopes.visible_incidents(viewer).filter(origin=Origin.FAMOUS, status=Status.PUBLISHED)


def _hits(viewer: Viewer, ids: list[int]) -> list[Hit]:
    if not ids:
        return []
    numbers = ",".join(map(str, ids))
    return hits(search(viewer, SearchRequest(q=f"ref:{numbers}", sort="newest", page_size=MAX_OUTAGES)))
