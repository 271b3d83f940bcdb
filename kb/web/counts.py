"""Counts of the incidents that the viewer can see. Archived incidents are left out, as in lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import Lower

from incidents import scopes
from incidents.models import Organization
from incidents.scopes import Viewer
from incidents.vocabulary import Status
from kb.insights.incidents import listed_incidents
from kb.insights.patterns import OrganizationCount
from kb.patterns.models import SHOWN, Pattern, PatternStatus, Tag


@dataclass(frozen=True, slots=True)
class Counts:
    incidents: int
    organizations: int
    patterns: int


@dataclass(frozen=True, slots=True)
class PatternCount:
    pattern: Pattern
    incidents: int


def counts(viewer: Viewer) -> Counts:
    found = _with_organization(viewer).aggregate(
        incidents=Count("pk"), organizations=Count("shown_organization", distinct=True)
    )
    return Counts(
        incidents=found["incidents"],
        organizations=found["organizations"],
        patterns=Pattern.objects.filter(status=PatternStatus.ACTIVE).count(),
    )


def by_organization(viewer: Viewer) -> list[OrganizationCount]:
    """Organizations with at least one incident that the viewer can see, sorted by name."""
    counted = _with_organization(viewer).order_by().values_list("shown_organization").annotate(n=Count("pk"))
    numbers = dict(counted)
    found = Organization.objects.filter(pk__in=numbers).order_by(Lower("name"))
    return [OrganizationCount(organization, numbers[organization.pk]) for organization in found]


def _with_organization(viewer: Viewer) -> QuerySet[Any]:
    return scopes.with_shown_organization(scopes.reopened_condition(), listed_incidents(viewer))


def by_pattern(viewer: Viewer) -> list[PatternCount]:
    """Every active pattern, by family and name. Patterns that no incident shows count 0."""
    tagged = Tag.objects.filter(scopes.visible_condition(viewer, "incident__"), state__in=SHOWN)
    numbers = {
        row["pattern"]: row["n"]
        for row in tagged.exclude(incident__status=Status.ARCHIVED).order_by().values("pattern").annotate(n=Count("pk"))
    }
    found = Pattern.objects.filter(status=PatternStatus.ACTIVE)
    return [PatternCount(pattern, numbers.get(pattern.pk, 0)) for pattern in found]
