"""Translates an `EngineRequest` into the body of one Elasticsearch search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.utils import timezone

from incidents.scopes import UNPUBLISHED, Viewer
from incidents.vocabulary import Status, Visibility
from kb.search.analysis import spans
from kb.search.elastic.mapping import OWN, SECTIONS, field_of, weight_of
from kb.search.engine import FACETS, EngineRequest
from kb.search.highlight import END, START
from kb.search.likeness import Likeness
from kb.search.nodes import (
    And,
    ChoiceFilter,
    DateFilter,
    DurationFilter,
    Filter,
    Node,
    Not,
    NumberFilter,
    Or,
    Phrase,
    Term,
    Text,
    leaves,
)
from kb.search.synonyms import SPELLINGS, SYNONYMS, expanded

Body = dict[str, Any]

_FIELDS = [f"{field_of(section)}^{weight_of(section):g}" for section in SECTIONS]
# More values of a facet than anyone would page through.
_MOST_VALUES = 500
_HIGHLIGHTED = [section for section in SECTIONS if section != "ref"]


def body(request: EngineRequest, *, hidden: list[int]) -> Body:
    """`hidden`: ids of the incidents whose narrowed access has not reached the index yet."""
    chosen = {facet: {"terms": {f"facets.{facet}": values}} for facet, values in request.chosen.items()}
    filters = [{"term": {"deleted": False}}, visible(request.viewer)]
    must_not: list[Body] = [{"terms": {"incident_id": hidden}}] if hidden else []
    if not request.archived:
        must_not.append({"term": {"facets.status": Status.ARCHIVED}})
    found: Body = {"filter": filters, "must_not": must_not}
    if (condition := expanded(request.condition)) is not None:
        found["must"] = [compile_node(condition)]
    whole: Body = {
        "query": {"bool": found},
        "post_filter": {"bool": {"filter": list(chosen.values())}},
        "aggs": _aggregations(chosen),
        "size": request.size + 1,
        "sort": _sort(request),
        "track_total_hits": True,
        "track_scores": True,
        "_source": ["shown", "own", field_of(OWN)],
        "timeout": "1500ms",
    }
    if any(isinstance(leaf, Term | Phrase) for leaf in leaves(request.root, positive=True)):
        whole["highlight"] = _highlight(expanded(request.root))
    if request.after:
        whole["search_after"] = list(request.after)
    return whole


def like(viewer: Viewer, incident_id: int, likeness: Likeness, size: int, *, hidden: list[int]) -> Body:
    """Finds documents with any of these words and patterns, except the incident's own. Scores come from `likeness`
    alone, so no hidden document influences them."""
    clauses = [_constant_score(compile_node(word), weight) for word, weight in likeness.words]
    clauses += [_constant_score({"term": {"facets.pattern": slug}}, weight) for slug, weight in likeness.patterns]
    return {
        "query": {
            "bool": {
                "filter": [{"term": {"deleted": False}}, visible(viewer)],
                "must_not": [
                    {"terms": {"incident_id": [incident_id, *hidden]}},
                    {"term": {"facets.status": Status.ARCHIVED}},
                ],
                "should": clauses,
                "minimum_should_match": 1,
            }
        },
        "size": size,
        "sort": [{"_score": "desc"}, {"incident_id": "desc"}],
        "track_scores": True,
        "track_total_hits": False,
        "_source": ["shown"],
        "timeout": "1500ms",
    }


def _constant_score(condition: Body, weight: float) -> Body:
    return {"constant_score": {"filter": condition, "boost": weight}}


def counts(viewer: Viewer, nodes: Sequence[Node], *, hidden: list[int]) -> list[Body]:
    """Searches whose totals are the number of documents, and of those that satisfy each of the nodes.

    Only documents that everyone or, for a signed-in viewer, every signed-in user can read are counted, because the
    rarity of a word must reveal nothing about other documents. Separate searches take a third of the time of a single
    one with a filter per node.
    """
    whole = [{"term": {"deleted": False}}, _published(viewer)]
    must_not = [{"terms": {"incident_id": hidden}}] if hidden else []
    return [
        {
            "query": {"bool": {"filter": [*whole, *held], "must_not": must_not}},
            "size": 0,
            "track_total_hits": True,
            "timeout": "1500ms",
        }
        for held in ([], *([compile_node(node)] for node in nodes))
    ]


# --- Who can find it -------------------------------------------------------------------------------
def visible(viewer: Viewer) -> Body:
    """`incidents.scopes.visible_condition` as an Elasticsearch query."""
    if viewer.is_admin:
        return {"match_all": {}}
    clauses = [_published(viewer)]
    if viewer.teams:
        clauses.append({"terms": {"access.team_id": sorted(viewer.teams)}})
    if viewer.user_id is not None:
        clauses.append(
            {
                "bool": {
                    "filter": [
                        {"term": {"access.reviewers": viewer.user_id}},
                        {"terms": {"access.status": list(UNPUBLISHED)}},
                    ]
                }
            }
        )
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _published(viewer: Viewer) -> Body:
    """The published incidents that every signed-in user can find or, for an anonymous viewer, that everyone can."""
    levels = [Visibility.PUBLIC, Visibility.INTERNAL] if viewer.is_signed_in else [Visibility.PUBLIC]
    return {"bool": {"filter": [{"term": {"access.published": True}}, {"terms": {"access.visibility": levels}}]}}


# --- What matches ----------------------------------------------------------------------------------
def compile_node(node: Node) -> Body:
    match node:
        case Term():
            return _words([node])
        case Phrase():
            return _phrase(node)
        case Not(child=child):
            return {"bool": {"must_not": [compile_node(child)]}}
        case And(children=children):
            return _all_children(children)
        case Or(children=children):
            return _any_child(children)
        case Filter():
            return {"bool": {"filter": [_filter(node)]}}


def _all_children(children: tuple[Node, ...]) -> Body:
    """All of the children. Their single words go into one query together."""
    words = [child for child in children if isinstance(child, Term)]
    must = [_words(words)] if words else []
    must += [compile_node(child) for child in children if not isinstance(child, Term)]
    return {"bool": {"must": must}}


def _any_child(children: tuple[Node, ...]) -> Body:
    """Any of the children. Another spelling or a synonym has no `text` and follows the word it was added for. The two
    count only once, and a synonym counts less, because a rare one would otherwise outweigh the word that was asked
    for."""
    groups: list[list[Body]] = []
    for child in children:
        if groups and isinstance(child, Term | Phrase) and not child.text:
            groups[-1].append({"bool": {"must": [compile_node(child)], "boost": child.weight}})
        else:
            groups.append([compile_node(child)])
    return _any([{"dis_max": {"queries": group}} if len(group) > 1 else group[0] for group in groups])


def _words(words: list[Term]) -> Body:
    return {"combined_fields": {"query": " ".join(map(_query_text, words)), "fields": _FIELDS, "operator": "and"}}


def _phrase(node: Phrase) -> Body:
    """The words next to each other. A compound such as us-east-1 counts more where it is spelled exactly like this."""
    phrase = {"multi_match": {"query": _query_text(node), "type": "phrase", "fields": _FIELDS}}
    if node.quoted or not node.text:
        return phrase
    return {"bool": {"must": [phrase], "should": [{"match": {"identifiers": {"query": node.text, "boost": 2}}}]}}


def _query_text(leaf: Text) -> str:
    """The words as people write them, because Elasticsearch does its own stemming. A synonym has no `text`."""
    stems = leaf.stems if isinstance(leaf, Phrase) else (leaf.stem,)
    return leaf.text or " ".join(_word_by_stem().get(stem, stem) for stem in stems)


@cache
def _word_by_stem() -> dict[str, str]:
    """A word for every stem in a spelling or synonym, because stemming a stem again can change it."""
    return {stem: line[start:end] for line in [*SPELLINGS, *SYNONYMS] for stem, start, end in spans(line)}


# --- Filters ---------------------------------------------------------------------------------------
def _filter(node: Filter[Any]) -> Body:
    match node:
        case NumberFilter(values=numbers):
            return {"terms": {"incident_id": list(numbers)}}
        case DateFilter(values=spans):
            return _any(
                [_range("started_at", s.start and s.start.isoformat(), s.end and s.end.isoformat()) for s in spans]
            )
        case DurationFilter(values=spans):
            return _any([_range("duration_seconds", s.low, s.high) for s in spans])
        case ChoiceFilter(field=field, values=values):
            return _choice(field, list(values))
    raise TypeError(f"no query for {node!r}")


def _range(field: str, low: Any, high: Any) -> Body:
    return {"range": {field: {name: value for name, value in (("gte", low), ("lt", high)) if value is not None}}}


def _any(clauses: list[Body]) -> Body:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _choice(field: str, values: list[str]) -> Body:
    match field:
        case "org":
            return {"terms": {"values.organization": values}}
        case "visibility":
            return {"terms": {"access.visibility": values}}
        case "is":
            return {"range": {"due": {"lt": timezone.now().date().isoformat()}}}
        case "detected":
            return {"terms": {"facets.detected_by": values}}
        case "severity" | "status" | "origin" | "pattern" | "family" | "mitigation":
            return {"terms": {f"facets.{field}": values}}
        case _:
            return {"terms": {f"values.{field}": values}}


# --- Counting, sorting, marking --------------------------------------------------------------------
def _aggregations(chosen: dict[str, Body]) -> Body:
    out: Body = {}
    for facet in FACETS:
        others = [condition for name, condition in chosen.items() if name != facet]
        values = {"values": {"terms": {"field": f"facets.{facet}", "size": _MOST_VALUES}}}
        out[facet] = {"filter": {"bool": {"filter": others}}, "aggs": values}
    counted = [*chosen.values(), {"term": {"duration_counts": True}}]
    out["median"] = {
        "filter": {"bool": {"filter": counted}},
        "aggs": {"of": {"percentiles": {"field": "duration_seconds", "percents": [50]}}},
    }
    return out


def _sort(request: EngineRequest) -> list[Body]:
    tie = {"incident_id": "desc"}
    has_words = any(isinstance(leaf, Term | Phrase) for leaf in leaves(request.root, positive=True))
    match request.sort:
        case "relevance" if has_words:
            return [{"_score": "desc"}, tie]
        case "oldest":
            return [{"started_at": {"order": "asc", "missing": "_last"}}, tie]
        case "longest":
            return [{"duration_seconds": {"order": "desc", "missing": "_last"}}, tie]
        case "shortest":
            return [{"duration_seconds": {"order": "asc", "missing": "_last"}}, tie]
        case "severity":
            return [{"facets.severity": "asc"}, tie]
        case _:
            return [{"started_at": {"order": "desc", "missing": "_last"}}, tie]


def _highlight(root: Node | None) -> Body:
    """Every section has its own highlight query for the words and phrases. With one query over all sections, the cost
    grows with the square of their number, and the highlighter leaves words unmarked if the query also has a phrase."""
    texts = [leaf for leaf in leaves(root, positive=True) if isinstance(leaf, Term | Phrase)]
    return {
        "type": "unified",
        "pre_tags": [START],
        "post_tags": [END],
        "encoder": "default",
        # Needed to mark a phrase as one match. Single words do not need it, and it takes time.
        "require_field_match": any(isinstance(leaf, Phrase) for leaf in texts),
        "fields": {
            field_of(section): {"highlight_query": _highlight_query(field_of(section), texts)}
            | _fragment_options(section)
            for section in _HIGHLIGHTED
        },
    }


def _highlight_query(field: str, texts: list[Text]) -> Body:
    words = [leaf for leaf in texts if isinstance(leaf, Term)]
    clauses: list[Body] = [{"match": {field: {"query": " ".join(map(_query_text, words))}}}] if words else []
    clauses += [{"match_phrase": {field: {"query": _query_text(leaf)}}} for leaf in texts if isinstance(leaf, Phrase)]
    return _any(clauses)


def _fragment_options(section: str) -> Body:
    if section == "title":
        return {"number_of_fragments": 0}
    return {"number_of_fragments": 1, "fragment_size": 240, "boundary_scanner": "sentence", "order": "score"}
