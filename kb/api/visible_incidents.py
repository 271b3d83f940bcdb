"""Lists of incidents as each viewer sees them.

The columns of an incident hold its working copy. Viewers who see the published revision of a reopened postmortem
instead must also filter and sort by that revision. For those few incidents the facts come from the revision document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, Func, JSONField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from incidents import scopes
from incidents.durations import read_stored_moment
from incidents.models import Incident
from incidents.scopes import Viewer

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

    def started_at(self, default: datetime) -> Coalesce:
        """The start as the viewer sees it, as an expression; `default` where there is none."""
        branches = [
            When(pk=pk, then=Value(started(facts), output_field=DateTimeField()))
            for pk, facts in self.published.items()
        ]
        start = Case(*branches, default=F("started_at"), output_field=DateTimeField()) if branches else F("started_at")
        return Coalesce(start, Value(default, output_field=DateTimeField()))


def started(facts: dict[str, Any]) -> datetime | None:
    moment = read_stored_moment(facts["started"], zone=facts["time_zone"])
    return moment.at if moment else None
