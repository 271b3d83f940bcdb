"""One incident in a list, from a search result: its moment and duration in words, its patterns by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from incidents.durations import Duration, DurationKind, Moment
from incidents.vocabulary import Precision
from kb.patterns.models import Pattern
from kb.search.results import Result

PATTERNS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class NamedPattern:
    slug: str
    name: str
    is_suggested: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    result: Result
    started: Moment | None
    duration: Duration | None
    patterns: list[NamedPattern]
    more_patterns: int


def hits(results: Iterable[Result]) -> list[Hit]:
    """In the order of the results, with one query for the names of all patterns."""
    results = list(results)
    slugs = {slug for result in results for slug in [*result.patterns, *result.suggested_patterns]}
    names = dict(Pattern.objects.filter(slug__in=slugs).values_list("slug", "name")) if slugs else {}
    return [_hit(result, names) for result in results]


def _hit(result: Result, names: dict[str, str]) -> Hit:
    named = [NamedPattern(slug, names[slug]) for slug in result.patterns if slug in names]
    named += [NamedPattern(slug, names[slug], True) for slug in result.suggested_patterns if slug in names]
    return Hit(
        result=result,
        started=Moment(result.started_at, Precision(result.started_precision))
        if result.started_at and result.started_precision
        else None,
        duration=Duration(result.duration_seconds, DurationKind(result.duration_kind))
        if result.duration_seconds is not None and result.duration_kind
        else None,
        patterns=named[:PATTERNS_AT_ONCE],
        more_patterns=len(named[PATTERNS_AT_ONCE:]),
    )
