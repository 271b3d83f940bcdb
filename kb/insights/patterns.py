"""Statistics of a pattern, from the incidents that show it: years, organizations, other patterns, mitigations.

Only incidents that the viewer can see are counted, with the facts of the text that search finds. As in lists, archived
incidents are left out, and so are tags that are only suggested.
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
from kb.insights.incidents import listed_incidents
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
    """Another pattern that `incidents` of these incidents also show.

    `share` is its share of these incidents, and `lift` is that share divided by its share of all incidents. A lift of 1
    means that the two patterns are independent.
    """

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
    """The statistics of one pattern. The lists are sorted by number of incidents, highest first, except `by_year`.

    total           the number of incidents that show the pattern
    by_year         by the year of the start, in the incident's time zone; ascending, including years without incidents
    n_with_unknown_year   how many of `total` have no known start
    organizations   the organizations of these incidents
    together        other patterns that these incidents also show
    mitigations     what stopped them; an incident can name several mitigations, or none
    n_with_unknown_mitigation   how many of `total` name no mitigation
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


def pattern_insight(viewer: Viewer, pattern: Pattern) -> PatternInsight:
    """The statistics of a pattern for a viewer, in a fixed number of queries."""
    everything = listed_incidents(viewer)
    showing = _showing(everything, pattern)
    facts = list(_facts(showing))
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
    """The same counts as `by_year` of `pattern_insight`, without the rest."""
    return _by_year(_facts(_showing(listed_incidents(viewer), pattern)))


def _showing(incidents: QuerySet[Incident], pattern: Pattern) -> QuerySet[Incident]:
    return incidents.filter(pk__in=Tag.objects.filter(pattern=pattern, state__in=SHOWN).values("incident"))


def _facts(incidents: QuerySet[Incident]) -> Iterable[_Facts]:
    """The facts of these incidents as search sees them, because every number links to a search.

    They come from the columns or, for a reopened postmortem, from its published revision.
    """
    published = scopes.reopened_condition()
    read: QuerySet[Any] = scopes.with_shown_organization(published, incidents).order_by()
    own = read.exclude(published).values_list("started_at", "time_zone", "shown_organization", "mitigations")
    for at, zone, organization, mitigations in own:
        yield _Facts(_year(at, zone), organization, mitigations)
    document = "published_revision__document"
    reopened = read.filter(published).values_list(
        f"{document}__started", "shown_organization", f"{document}__mitigations"
    )
    for started, organization, mitigations in reopened:
        yield _Facts(int(started["at"][:4]) if started else None, organization, mitigations)


def _year(at: datetime | None, zone: str) -> int | None:
    """The year in the incident's time zone, which is the one shown. It can differ from the year in UTC."""
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
    """By pattern id, how many of these incidents show each active pattern, or each of `patterns` only."""
    tags = Tag.objects.filter(
        state__in=SHOWN, pattern__status=PatternStatus.ACTIVE, incident__in=incidents.order_by().values("pk")
    )
    if patterns is not None:
        tags = tags.filter(pattern__in=list(patterns))
    return dict(tags.order_by().values_list("pattern").annotate(n=Count("pk")))
