"""Public outages by the calendar: what began on this day in another year, and one for every week."""

from __future__ import annotations

from datetime import date

from django.db.models import QuerySet

from incidents import scopes
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Precision, Status
from kb.search.service import SearchRequest, search
from kb.web.search.hits import Hit, hits

MOST = 3
KNOWN_TO_THE_DAY = (Precision.SECOND, Precision.MINUTE, Precision.HOUR, Precision.DAY)


def on_this_day(viewer: Viewer, today: date) -> list[Hit]:
    """Outages that began on this day of the year, as far as their day is known; the latest first."""
    found = _outages(viewer).filter(
        started_at__month=today.month, started_at__day=today.day, started_precision__in=KNOWN_TO_THE_DAY
    )
    return _hits(viewer, list(found.order_by("-started_at", "-pk").values_list("pk", flat=True)[:MOST]))


def of_the_week(viewer: Viewer, today: date) -> Hit | None:
    """The same outage for everybody all week, another the next, until each had its turn."""
    every = _outages(viewer).order_by("external_id")
    count = every.count()
    if not count:
        return None
    # A step without a common divisor with most counts, so that neighbours in the list are weeks apart.
    turn = (today.toordinal() - 1) // 7 * 47 % count
    return next(iter(_hits(viewer, [every.values_list("pk", flat=True)[turn]])), None)


def _outages(viewer: Viewer) -> QuerySet[Incident]:
    return scopes.visible_incidents(viewer).filter(origin=Origin.FAMOUS, status=Status.PUBLISHED)


def _hits(viewer: Viewer, ids: list[int]) -> list[Hit]:
    if not ids:
        return []
    numbers = ",".join(map(str, ids))
    return hits(search(viewer, SearchRequest(q=f"ref:{numbers}", sort="newest", page_size=MOST)).results)
