"""Search results prepared for a list: with the moment, the duration and the names of the patterns."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.durations import Duration, DurationKind, Moment
from incidents.vocabulary import Precision
from kb.patterns.models import Pattern
from kb.search.analysis import is_stop, spans
from kb.search.nodes import ChoiceFilter, leaves
from kb.search.results import Result
from kb.search.service import Page

PATTERNS_SHOWN = 4


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


def hits(page: Page) -> list[Hit]:
    """One hit per result, in the same order. The names of all patterns take one query.

    A hit shows only a few patterns, so those that the search is about come first.
    """
    slugs = {slug for result in page.results for slug in [*result.patterns, *result.suggested_patterns]}
    names = dict(Pattern.objects.filter(slug__in=slugs).values_list("slug", "name")) if slugs else {}
    chosen = {value.value for value in page.facets.get("pattern", []) if value.selected}
    for leaf in leaves(page.parsed.root, positive=True):
        if isinstance(leaf, ChoiceFilter) and leaf.field == "pattern":
            chosen.update(leaf.values)
    about = {
        slug for slug, name in names.items() if slug in chosen or not _content_stems(name).isdisjoint(page.parsed.terms)
    }
    return [_hit(result, names, about) for result in page.results]


def _content_stems(text: str) -> set[str]:
    """The stems of the words in `text`, without stop words."""
    return {stem for stem, start, end in spans(text) if not is_stop(text[start:end])}


def _hit(result: Result, names: dict[str, str], about: set[str]) -> Hit:
    named = [NamedPattern(slug, names[slug]) for slug in result.patterns if slug in names]
    named += [NamedPattern(slug, names[slug], True) for slug in result.suggested_patterns if slug in names]
    named.sort(key=lambda pattern: pattern.slug not in about)
    return Hit(
        result=result,
        started=Moment(result.started_at, Precision(result.started_precision))
        if result.started_at and result.started_precision
        else None,
        duration=Duration(result.duration_seconds, DurationKind(result.duration_kind))
        if result.duration_seconds is not None and result.duration_kind
        else None,
        patterns=named[:PATTERNS_SHOWN],
        more_patterns=len(named[PATTERNS_SHOWN:]),
    )
