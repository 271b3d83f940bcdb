"""Lists of incidents as each viewer sees them.

The columns of an incident hold its working copy. Viewers who see the published revision of a reopened postmortem
instead must also filter and sort by that revision. For those few incidents the facts come from the revision document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.db.models import Case, DateTimeField, F, Func, JSONField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from incidents import scopes
from incidents.durations import SPAN, Moment, correct_zone, read_stored_moment
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Precision

DATES = [precision for precision, span in SPAN.items() if span >= SPAN[Precision.DAY]]
FACTS = ("title", "severity", "started", "duration", "detected_by", "time_zone")


class _Fact(Func):
    """One key of a JSON document, as JSON. On SQLite, Django's own key transform turns the text "12" into a number."""

    template = "(%(expressions)s)"
    arg_joiner = " -> "
    output_field = JSONField()


@dataclass(frozen=True, slots=True)
class VisibleIncidents:
    """The visible incidents, with the published facts of those whose working copy the viewer cannot see."""

    viewer: Viewer
    incidents: QuerySet[Incident]
    published: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, viewer: Viewer) -> VisibleIncidents:
        visible = scopes.visible_incidents(viewer)
        reopened = visible.filter(scopes.reads_published_condition(viewer))
        rows = reopened.values_list("pk", *(_Fact(F("published_revision__document"), Value(name)) for name in FACTS))
        return cls(viewer, visible, {pk: dict(zip(FACTS, facts, strict=True)) for pk, *facts in rows})

    def where(self, condition: Q, holds: Callable[[dict[str, Any]], bool]) -> Q:
        """`condition` on the columns, or `holds` on the published facts where the viewer sees those instead."""
        matching = [pk for pk, facts in self.published.items() if holds(facts)]
        return (condition & ~Q(pk__in=list(self.published))) | Q(pk__in=matching)

    def status_is_any(self, statuses: Iterable[str]) -> Q:
        statuses = list(statuses)
        return self.where(Q(status__in=statuses), lambda facts: "published" in statuses)

    def started(self, lookup: Literal["gte", "lt"], bound: datetime) -> Q:
        """Those that started at or after, or before, the bound. A day, month or year counts as published, in any time
        zone, so that 2026 is found from 2026 on."""

        def holds(facts: dict[str, Any]) -> bool:
            start, zone = _start(facts), facts["time_zone"]
            at = correct_zone(start, old=zone, new="UTC").at if start else None
            return at is not None and (at >= bound if lookup == "gte" else at < bound)

        is_date = Q(started_precision__in=DATES)
        condition = ~is_date & Q((f"started_at__{lookup}", bound))
        for zone in self.incidents.filter(is_date).order_by().values_list("time_zone", flat=True).distinct():
            there = bound.astimezone(UTC).replace(tzinfo=ZoneInfo(zone))
            condition |= is_date & Q(("time_zone", zone), (f"started_at__{lookup}", there))
        return self.where(condition, holds)

    def started_at(self, default: datetime) -> Coalesce:
        """The start as the viewer sees it, as an expression; `default` where there is none."""
        branches = [
            When(pk=pk, then=Value(moment.at if (moment := _start(facts)) else None, output_field=DateTimeField()))
            for pk, facts in self.published.items()
        ]
        start = Case(*branches, default=F("started_at"), output_field=DateTimeField()) if branches else F("started_at")
        return Coalesce(start, Value(default, output_field=DateTimeField()))


def _start(facts: dict[str, Any]) -> Moment | None:
    return read_stored_moment(facts["started"], zone=facts["time_zone"])
