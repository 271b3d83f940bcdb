"""What is known about a pattern from the incidents that show it: when, where, with what else, and what stopped them.

Everything is counted from incidents that the viewer may see, by the facts that the viewer reads there. Archived ones
stay out, as in lists, and so do tags that are only suggested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet

from incidents import scopes
from incidents.models import Incident, Organization
from incidents.scopes import Viewer
from incidents.vocabulary import Mitigation
from kb.insights.listed import listed
from kb.patterns.models import SHOWN, Pattern, PatternStatus, Tag


@dataclass(frozen=True, slots=True)
class YearCount:
    year: int
    incidents: int


@dataclass(frozen=True, slots=True)
class OrganizationCount:
    organization: Organization
    incidents: int


@dataclass(frozen=True, slots=True)
class Companion:
    """Another pattern of `incidents` of these incidents: a `share` of them, which is `lift` times its share of all
    incidents. A lift of 1 says that the two have nothing to do with each other."""

    pattern: Pattern
    incidents: int
    share: float
    lift: float


@dataclass(frozen=True, slots=True)
class MitigationCount:
    mitigation: Mitigation
    incidents: int


@dataclass(frozen=True, slots=True)
class PatternInsight:
    """`total` incidents show the pattern.

    by_year         from the first year to the last, those between without any too; by the start, in the incident's zone
    n_with_unknown_year   of `total`, those whose start nobody knows
    organizations   the most incidents first
    together        patterns that come with it, the most incidents first
    mitigations     what stopped them, the most incidents first; an incident may name several, or none
    n_with_unknown_mitigation   of `total`, those that name none
    """

    pattern: Pattern
    total: int
    by_year: list[YearCount]
    n_with_unknown_year: int
    organizations: list[OrganizationCount]
    together: list[Companion]
    mitigations: list[MitigationCount]
    n_with_unknown_mitigation: int


@dataclass(frozen=True, slots=True)
class _Facts:
    year: int | None
    organization: int
    mitigations: list[str]


def about(viewer: Viewer, pattern: Pattern) -> PatternInsight:
    """In a fixed number of queries."""
    everything = listed(viewer)
    showing = _showing(everything, pattern)
    facts = list(_as_found(showing))
    named = Counter(name for one in facts for name in one.mitigations)
    return PatternInsight(
        pattern=pattern,
        total=len(facts),
        by_year=_by_year(facts),
        n_with_unknown_year=sum(one.year is None for one in facts),
        organizations=_organizations(Counter(one.organization for one in facts)),
        together=_together(everything, showing, pattern, len(facts)),
        mitigations=_mitigations(named),
        n_with_unknown_mitigation=sum(not one.mitigations for one in facts),
    )


def by_year(viewer: Viewer, pattern: Pattern) -> list[YearCount]:
    """As in `about`."""
    return _by_year(_as_found(_showing(listed(viewer), pattern)))


def _showing(incidents: QuerySet[Incident], pattern: Pattern) -> QuerySet[Incident]:
    return incidents.filter(pk__in=Tag.objects.filter(pattern=pattern, state__in=SHOWN).values("incident"))


def _as_found(incidents: QuerySet[Incident]) -> Iterable[_Facts]:
    """By the columns, or by the published text of what is reopened: as search finds it, to which every number leads."""
    published = scopes.reopened()
    read: QuerySet[Any] = scopes.with_organization_read(published, incidents).order_by()
    own = read.exclude(published).values_list("started_at", "time_zone", "organization_read", "mitigations")
    for at, zone, organization, mitigations in own:
        yield _Facts(_year(at, zone), organization, mitigations)
    document = "published_revision__document"
    reopened = read.filter(published).values_list(
        f"{document}__started", "organization_read", f"{document}__mitigations"
    )
    for started, organization, mitigations in reopened:
        yield _Facts(int(started["at"][:4]) if started else None, organization, mitigations)


def _year(at: datetime | None, zone: str) -> int | None:
    """The year that people read, which in their zone may be another than in UTC."""
    return at.astimezone(ZoneInfo(zone)).year if at else None


def _by_year(facts: Iterable[_Facts]) -> list[YearCount]:
    numbers = Counter(one.year for one in facts if one.year is not None)
    if not numbers:
        return []
    return [YearCount(year, numbers[year]) for year in range(min(numbers), max(numbers) + 1)]


def _organizations(numbers: Counter[int]) -> list[OrganizationCount]:
    found = [OrganizationCount(one, numbers[one.pk]) for one in Organization.objects.filter(pk__in=numbers)]
    return sorted(found, key=lambda one: (-one.incidents, one.organization.name.casefold()))


def _mitigations(numbers: Counter[str]) -> list[MitigationCount]:
    found = [MitigationCount(Mitigation(name), number) for name, number in numbers.items()]
    return sorted(found, key=lambda one: (-one.incidents, one.mitigation.label))


def _together(
    everything: QuerySet[Incident], showing: QuerySet[Incident], pattern: Pattern, total: int
) -> list[Companion]:
    among = _numbers(showing)
    among.pop(pattern.pk, None)
    everywhere, incidents = _numbers(everything, among), everything.count()
    found = []
    for other in Pattern.objects.filter(pk__in=among):
        share = among[other.pk] / total
        found.append(Companion(other, among[other.pk], share, share / (everywhere[other.pk] / incidents)))
    return sorted(found, key=lambda one: (-one.incidents, -one.lift, one.pattern.name))


def _numbers(incidents: QuerySet[Incident], patterns: Iterable[int] | None = None) -> dict[int, int]:
    """How many of these incidents show each pattern in use, or each of some."""
    tags = Tag.objects.filter(
        state__in=SHOWN, pattern__status=PatternStatus.ACTIVE, incident__in=incidents.order_by().values("pk")
    )
    if patterns is not None:
        tags = tags.filter(pattern__in=list(patterns))
    return dict(tags.order_by().values_list("pattern").annotate(n=Count("pk")))
