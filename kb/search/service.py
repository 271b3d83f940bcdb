"""Search as the pages and the REST API use it: text and choices in, a page of checked results out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, TypeGuard, cast

from incidents import scopes, vocabulary
from incidents.models import Service
from incidents.scopes import Viewer
from incidents.text import is_blank
from kb.patterns.models import Pattern
from kb.search import cursor as cursors
from kb.search import engines
from kb.search.cursor import BadCursor
from kb.search.database.conditions import names_archived
from kb.search.document import DURATION_BUCKETS, UNKNOWN
from kb.search.engine import FACETS, SORTS, Answer, Engine, EngineRequest, Sort
from kb.search.fields import fold_name
from kb.search.lexer import shown
from kb.search.misspelled import respelled
from kb.search.names import named_pattern, unknown_names, unknown_values
from kb.search.nodes import AnyFilter, ChoiceFilter, Phrase, Text, leaves, rebuild
from kb.search.paste import loosened
from kb.search.query import Correction, Query, parse, relaxed
from kb.search.results import Result, result, visible_hits

__all__ = ["BadCursor", "BadRequest", "FacetValue", "Page", "SearchRequest", "check", "search"]

PAGE_SIZE, LARGEST_PAGE = 20, 100

_LABELS: dict[str, dict[str, str]] = {
    "severity": {**{str(v): str(label) for v, label in vocabulary.Severity.choices}, UNKNOWN: "Unknown"},
    "status": {str(v): str(label) for v, label in vocabulary.Status.choices},
    "family": {str(v): str(label) for v, label in vocabulary.Family.choices},
    "origin": {str(v): str(label) for v, label in vocabulary.Origin.choices},
    "detected_by": {**{str(v): str(label) for v, label in vocabulary.DetectedBy.choices}, UNKNOWN: "Unknown"},
    "mitigation": {str(v): str(label) for v, label in vocabulary.Mitigation.choices},
    "duration": {
        "under-1h": "Under 1 h",
        "1h-6h": "1 to 6 h",
        "6h-24h": "6 to 24 h",
        "over-24h": "24 h or more",
        UNKNOWN: "Unknown",
    },
    "year": {UNKNOWN: "Unknown"},
}
# Facets whose values have an order of their own. The others are ordered by count.
_ORDERED = {
    "severity": [*vocabulary.Severity.values, UNKNOWN],
    "duration": [*(name for name, _, _ in DURATION_BUCKETS), UNKNOWN],
}
# The facets with a closed list of values.
CHOICES = {
    name: tuple(_LABELS[name])
    for name in ("severity", "status", "family", "origin", "detected_by", "mitigation", "duration")
}
YEAR = f"^([0-9]{{4}}|{UNKNOWN})$"


class BadRequest(Exception):
    """A parameter is unknown or has a value that is not valid; `field` names the parameter."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is asked for. `filters` maps facets to lists of values, any of which can match; an organization can also be
    given by its slug, or by its name in any letter case."""

    q: str = ""
    filters: dict[str, list[str]] = field(default_factory=dict)
    sort: str = "relevance"
    page_size: int = PAGE_SIZE
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a facet, and how many results have it. `requested`: the values in the request that chose it."""

    value: str
    label: str
    count: int
    requested: tuple[str, ...]

    @property
    def selected(self) -> bool:
        return bool(self.requested)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results. `engine`: the one that answered. `degraded`: that engine was only the fallback.

    `parsed` is the query as it was searched, with merged patterns replaced. `relaxed`: no incident contains all of its
    words, so these contain any.
    """

    query: str
    parsed: Query
    engine: str
    degraded: bool
    relaxed: bool
    took_ms: int
    total: int
    results: list[Result]
    facets: dict[str, list[FacetValue]]
    next_cursor: str | None
    corrections: tuple[Correction, ...]
    notices: tuple[str, ...]
    median_duration_seconds: int | None


def search(viewer: Viewer, request: SearchRequest) -> Page:
    """One page of what the viewer can find. Raises BadRequest, which names the parameter, and BadCursor."""
    began = time.perf_counter()
    check(request)
    query = parse(request.q)
    # Loaded at most once, and only if a pattern is asked for or found.
    patterns = cache(_patterns)
    merged = _merged(query, map(str.lower, request.filters.get("pattern", [])), patterns)
    query = replace(query, root=rebuild(query.root, lambda leaf: _without_merged(leaf, merged)))
    service_names = _service_names(query)
    resolved = replace(query, root=rebuild(query.root, lambda leaf: _with_service_names(leaf, service_names)))
    identity: dict[str, Any] = {"q": request.q, "filters": request.filters, "sort": request.sort}
    position = cursors.read(request.cursor, identity) if request.cursor else None
    chosen = _chosen(request.filters, merged)
    engine_request = EngineRequest(
        viewer=viewer,
        chosen={name: list(dict.fromkeys(chain.from_iterable(values.values()))) for name, values in chosen.items()},
        sort=cast("Sort", request.sort),
        size=request.page_size,
        after=(position.key, position.incident_id) if position else None,
        archived="archived" in request.filters.get("status", []) or names_archived(query.root),
    )
    engine, degraded, (answer, was_relaxed, respellings) = engines.answer_with_fallback(
        lambda engine: _answer(engine, engine_request, resolved, position)
    )
    hits = visible_hits(answer.hits, viewer)
    unknown = unknown_names(query, viewer, found=bool(answer.total))
    return Page(
        query=request.q,
        parsed=query,
        engine=engine.name,
        degraded=degraded,
        relaxed=was_relaxed,
        took_ms=round((time.perf_counter() - began) * 1000),
        total=answer.total,
        results=[result(hit) for hit in hits],
        facets=_facets(answer, chosen, patterns),
        next_cursor=_next(answer, engine, was_relaxed, identity),
        corrections=(
            *query.corrections,
            *unknown.corrections,
            *respellings,
            *named_pattern(query, lambda: [(k, one.name) for k, one in patterns().items() if not one.merged_into]),
        ),
        notices=(
            *query.notices,
            *unknown.notices,
            *(() if answer.total else unknown_values(request.filters, viewer)),
            *(f"The pattern {old} was merged into {new}, which was searched instead." for old, new in merged.items()),
            *([_some_words(query, request.filters)] if was_relaxed and answer.total else []),
        ),
        median_duration_seconds=answer.median_duration_seconds,
    )


def check(request: SearchRequest) -> None:
    """Raises BadRequest for a parameter that is not valid."""
    if request.sort not in SORTS:
        raise BadRequest("sort", f"Sort by one of {', '.join(SORTS)}.")
    if not 1 <= request.page_size <= LARGEST_PAGE:
        raise BadRequest("page_size", f"Choose a page size from 1 to {LARGEST_PAGE}.")
    for name, values in request.filters.items():
        if name not in FACETS:
            raise BadRequest(name, f"Unknown filter. The filters are {', '.join(FACETS)}.")
        if len(values) > 100:
            raise BadRequest(name, "Choose at most 100 values.")
        if name in CHOICES:
            for value in values:
                if value not in CHOICES[name]:
                    raise BadRequest(name, f"Choose one of {', '.join(CHOICES[name])}.")
        elif name == "year":
            if not all(re.fullmatch(YEAR, value) for value in values):
                raise BadRequest(name, f"Enter a year with four digits, such as 2019, or {UNKNOWN}.")
        elif any(map(is_blank, values)):
            raise BadRequest(name, "Enter a slug or a name.")
        elif any("\x00" in value for value in values):
            raise BadRequest(name, "The value contains a NUL character (U+0000). Remove it and try again.")


class _PatternName(NamedTuple):
    name: str
    merged_into: str | None


def _patterns() -> dict[str, _PatternName]:
    """All patterns by slug."""
    return {row[0]: _PatternName(*row[1:]) for row in Pattern.objects.values_list("slug", "name", "merged_into__slug")}


def _merged(query: Query, chosen: Iterable[str], patterns: Callable[[], Mapping[str, _PatternName]]) -> dict[str, str]:
    """{merged pattern: the one it was merged into}, by slug, for the patterns named in the query or chosen."""
    slugs = dict.fromkeys(chosen)
    for leaf in query.filters:
        if _is_of(leaf, "pattern"):
            slugs.update(dict.fromkeys(leaf.values))
    known = patterns() if slugs else {}
    return {slug: into for slug in slugs if slug in known and (into := known[slug].merged_into)}


def _is_of(leaf: Text | AnyFilter, field: str) -> TypeGuard[ChoiceFilter]:
    return isinstance(leaf, ChoiceFilter) and leaf.field == field


def _service_names(query: Query) -> dict[str, list[str]]:
    """{slug: the names of all services that have it}, for the services named in the query: engines know only names."""
    wanted = [value for leaf in query.filters if _is_of(leaf, "service") for value in leaf.values]
    out: dict[str, list[str]] = {}
    if wanted:
        for slug, name in Service.objects.filter(slug__in=wanted).values_list("slug", "name"):
            out.setdefault(slug, []).append(fold_name(name))
    return out


def _with_service_names(leaf: Text | AnyFilter, names_of: Mapping[str, list[str]]) -> Text | AnyFilter:
    if not _is_of(leaf, "service"):
        return leaf
    values = dict.fromkeys(one for value in leaf.values for one in (value, *names_of.get(value, [])))
    return ChoiceFilter(leaf.field, tuple(values), leaf.text)


def _without_merged(leaf: Text | AnyFilter, merged: Mapping[str, str]) -> Text | AnyFilter:
    if not _is_of(leaf, "pattern"):
        return leaf
    return ChoiceFilter(leaf.field, tuple(dict.fromkeys(merged.get(value, value) for value in leaf.values)), leaf.text)


def _answer(
    engine: Engine, engine_request: EngineRequest, query: Query, position: cursors.Position | None
) -> tuple[Answer, bool, tuple[Correction, ...]]:
    """The answer; whether the query was relaxed: if no incident contains all of the words, any of them match; and
    corrections of words that none contains. Later pages do what the first one did."""
    if position and position.engine != engine.name:
        # Each engine scores on its own scale, so a position in one is meaningless in another.
        raise BadCursor("Searches are being answered by another engine, which ranks results differently.")
    was_relaxed = position.relaxed if position else None
    relaxed_query = relaxed(query)
    respellings: tuple[Correction, ...] = ()
    if not was_relaxed:
        answer = engine.search(_with_root(engine_request, query))
        if not answer.total:
            respellings = respelled(engine, engine_request, query)
        if answer.total or was_relaxed is not None or relaxed_query is None:
            return answer, False, respellings
    if relaxed_query is None:
        return engine.search(_with_root(engine_request, query)), False, ()
    return engine.search(_with_root(engine_request, relaxed_query)), True, respellings


def _some_words(query: Query, filters: Mapping[str, list[str]]) -> str:
    """The note on results that contain only some of the words: that the filters count, and that a compound was looked
    for as a whole, so that nobody believes that no incident has the words."""
    among = " that matches the filters" if query.filters or any(filters.values()) else ""
    words = leaves(query.root, positive=True)
    whole = next((leaf.text for leaf in words if isinstance(leaf, Phrase) and loosened(leaf) != leaf), None)
    together = f", with {shown(whole)} in one piece" if whole else ""
    return f"No incident{among} contains all of these words{together}. These contain some of them, best matches first."


def _with_root(engine_request: EngineRequest, query: Query) -> EngineRequest:
    return replace(engine_request, root=query.root)


def _next(answer: Answer, engine: Engine, was_relaxed: bool, identity: dict[str, Any]) -> str | None:
    if not answer.has_more:
        return None
    last = answer.hits[-1]
    return cursors.write(cursors.Position(last.sort_key, last.incident_id, engine.name, was_relaxed), identity)


def _chosen(filters: dict[str, list[str]], merged: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """{facet: {value of the request: values of the facet that it stands for}}."""
    chosen = {facet: {value: [value] for value in values} for facet, values in filters.items() if values}
    if patterns := chosen.get("pattern"):
        chosen["pattern"] = {value: [merged.get(slug := value.lower(), slug)] for value in patterns}
    if organizations := chosen.get("organization"):
        # Includes organizations hidden from the viewer: the engine decides what is found, and so which ones are named.
        for value, found in scopes.organizations_by_name([*organizations]).items():
            organizations[value] += [one.name for one in found if one.name != value]
    return chosen


def _facets(
    answer: Answer, chosen: dict[str, dict[str, list[str]]], patterns: Callable[[], Mapping[str, _PatternName]]
) -> dict[str, list[FacetValue]]:
    """The values of each facet by count, or in their own order. Chosen values are always included. If nothing with a
    chosen value is found, it appears as it was asked for, so that it reveals nothing the viewer cannot see."""
    names = {slug: one.name for slug, one in patterns().items()} if answer.facets.get("pattern") else {}
    out: dict[str, list[FacetValue]] = {}
    for facet in FACETS:
        requested: dict[str, list[str]] = {}
        for value, facet_values in chosen.get(facet, {}).items():
            for one in [one for one in facet_values if one in answer.facets[facet]] or [value]:
                requested.setdefault(one, []).append(value)
        counts = {**dict.fromkeys(requested, 0), **answer.facets[facet]}
        labels = names if facet == "pattern" else _LABELS.get(facet, {})
        values = [
            FacetValue(value, labels.get(value, value), count, tuple(requested.get(value, ())))
            for value, count in counts.items()
        ]
        order = _ORDERED.get(facet)
        if order:
            values.sort(key=lambda v: order.index(v.value))
        elif facet == "year":
            values.sort(key=lambda v: v.value, reverse=True)
        else:
            values.sort(key=lambda v: (-v.count, v.label))
        out[facet] = values
    return out
