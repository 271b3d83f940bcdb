"""The database engine: conditions, counts and pages in SQL, highlights from the original texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, DateTimeField, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from incidents import scopes
from incidents.models import Incident, OutboxEntry
from incidents.scopes import Viewer
from incidents.vocabulary import Status
from kb.search import highlight
from kb.search.database import CONSUMER
from kb.search.database.conditions import chosen, condition, dialect, scored
from kb.search.database.rarity import count_readable, mark_of, rarities
from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, IndexDocument
from kb.search.engine import FACETS, MULTIVALUED, Answer, EngineRequest, Hit
from kb.search.likeness import Likeness
from kb.search.models import SearchDocument, SearchValue
from kb.search.nodes import (
    ChoiceFilter,
    Node,
    NumberFilter,
    Text,
    conjunction,
    disjunction,
    negation,
)
from kb.search.synonyms import expanded

# An incident's id and its sort key.
Key = tuple[int, float | str]
_FAR_PAST, _FAR_FUTURE = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_NO_DURATION = -1
MOST_FRAGMENTS = 2
_SINGLE = [facet for facet in FACETS if facet not in MULTIVALUED]
_MEASURED = ["duration_seconds", "duration_counts"]
# The middle one or two of the durations that count toward the median.
_MEASURABLE = "FROM found WHERE duration_counts AND duration_seconds IS NOT NULL"
_MIDDLE = (
    f"SELECT 'middle', '', duration_seconds FROM (SELECT duration_seconds {_MEASURABLE} ORDER BY duration_seconds "
    f"LIMIT 2 - (SELECT count(*) {_MEASURABLE}) %% 2 OFFSET (SELECT (count(*) - 1) / 2 {_MEASURABLE})) AS measured"
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """SQL that ranks the documents of a table `found(id)`.

    scores   selects (id, score) of the documents that have a score, and becomes the table `scored` for `best`
    best     selects (id, score) of the documents to return
    """

    scores: str
    scores_params: Sequence[object]
    best: str
    best_params: Sequence[object]


@dataclass(slots=True)
class Counts:
    """Counts of the documents found. `ranked`: ids and scores, best first; None if there is no ranking."""

    facets: dict[str, dict[str, int]]
    total: int = 0
    median: int | None = None
    ranked: list[Key] | None = None


class DatabaseEngine:
    """SQLite FTS5 or PostgreSQL tsvector, whichever the installation runs on."""

    def __init__(self) -> None:
        self.name = connection.vendor

    # --- Reading -----------------------------------------------------------------------------------
    def search(self, request: EngineRequest) -> Answer:
        base = self._findable(request)
        everything = base
        for facet, values in request.chosen.items():
            everything = everything.filter(chosen(facet, values))
        counts = self._aggregate(everything, FACETS, _ranking(request))
        for facet in request.chosen:
            others = base
            for other, values in request.chosen.items():
                if other != facet:
                    others = others.filter(chosen(other, values))
            counts.facets.update(self._aggregate(others, (facet,)).facets)
        # One hit more than the page holds, to tell whether another page follows.
        keys = self._by_column(request, everything) if counts.ranked is None else counts.ranked
        hits = self._hits(keys[: request.size], highlight.Matcher.of(expanded(request.root)))
        return Answer(counts.total, hits, len(keys) > request.size, counts.facets, counts.median)

    def like(self, viewer: Viewer, document: IndexDocument, size: int) -> list[Hit]:
        likeness = Likeness.of(document, partial(_count_matches, viewer))
        if not likeness:
            return []
        patterns = ChoiceFilter("pattern", tuple(slug for slug, _ in likeness.patterns)) if likeness.patterns else None
        root = disjunction([*(word for word, _ in likeness.words), patterns])
        request = EngineRequest(viewer, conjunction([root, negation(NumberFilter("ref", (document.incident_id,)))]))
        counts = self._aggregate(self._findable(request), (), _likeness_ranking(likeness, size))
        return self._hits(counts.ranked or [], highlight.Matcher(frozenset()))

    def _findable(self, request: EngineRequest) -> QuerySet[SearchDocument]:
        """What the viewer can find, before any choice of facets."""
        pending = OutboxEntry.objects.filter(consumer=CONSUMER, narrows=True).values("incident_id")
        found = SearchDocument.objects.filter(
            scopes.visible_condition(request.viewer, "incident__"), condition(expanded(request.condition))
        ).exclude(pk__in=pending)
        return found if request.archived else found.exclude(status=Status.ARCHIVED)

    def _aggregate(
        self, found: QuerySet[SearchDocument], facets: tuple[str, ...], ranking: Ranking | None = None
    ) -> Counts:
        """The counts of these facets, the total, the median duration and the best of a ranking, in one statement, so
        that the condition is evaluated only once."""
        inner, params = found.order_by().values_list("pk", *_SINGLE, *_MEASURED).query.sql_with_params()
        tables = [f"found({', '.join(['id', *_SINGLE, *_MEASURED])}) AS MATERIALIZED ({inner})"]
        parts = ["SELECT '', '', count(*) FROM found", _MIDDLE]
        parts += [f"SELECT '{name}', {name}, count(*) FROM found GROUP BY {name}" for name in facets if name in _SINGLE]
        if multi := [name for name in facets if name in MULTIVALUED]:
            names = ", ".join(f"'{name}'" for name in multi)
            parts.append(
                "SELECT field, value, count(*) FROM search_searchvalue "
                f"WHERE field IN ({names}) AND document_id IN (SELECT id FROM found) GROUP BY field, value"
            )
        values: list[Any] = [*params]
        if ranking:
            tables.append(f"scored AS ({ranking.scores})")
            parts.append(f"SELECT 'ranked', CAST(id AS TEXT), score FROM ({ranking.best}) AS best")
            values += [*ranking.scores_params, *ranking.best_params]
        out = Counts({name: {} for name in facets})
        middle: list[int] = []
        ranked: list[tuple[int, float]] = []
        with connection.cursor() as cursor:
            cursor.execute(f"WITH {', '.join(tables)} " + " UNION ALL ".join(parts), values)
            for facet, value, number in cursor.fetchall():
                if not facet:
                    out.total = int(number)
                elif facet == "middle":
                    middle.append(int(number))
                elif facet == "ranked":
                    ranked.append((int(value), float(number)))
                else:
                    out.facets[facet][value] = int(number)
        out.median = sum(middle) // len(middle) if middle else None
        if ranking:
            # A UNION does not keep the order of its parts.
            out.ranked = sorted(ranked, key=lambda key: (key[1], key[0]), reverse=True)
        return out

    def _hits(self, page: Sequence[Key], matcher: highlight.Matcher) -> list[Hit]:
        rows = {row.pk: row for row in SearchDocument.objects.filter(pk__in=[pk for pk, _ in page])}
        return [
            Hit(
                pk,
                key if isinstance(key, float) else 0.0,
                key,
                rows[pk].shown,
                fragments(rows[pk].texts, matcher),
            )
            for pk, key in page
            if pk in rows
        ]

    def _by_column(self, request: EngineRequest, found: QuerySet[SearchDocument]) -> list[Key]:
        key, ascending = {
            "oldest": (Coalesce("started_at", Value(_FAR_FUTURE, DateTimeField())), True),
            "longest": (Coalesce("duration_seconds", Value(_NO_DURATION)), False),
            "shortest": (Coalesce("duration_seconds", Value(2**62)), True),
            "severity": (F("severity"), True),
        }.get(request.sort, (Coalesce("started_at", Value(_FAR_PAST, DateTimeField())), False))
        ordered = found.annotate(key=key)
        if request.after:
            last_key, last_id = request.after
            value: Any = last_key
            if request.sort in ("relevance", "newest", "oldest"):
                value = datetime.fromisoformat(str(last_key))
            ordered = ordered.filter(Q(**{"key__gt" if ascending else "key__lt": value}) | Q(key=value, pk__lt=last_id))
        rows = ordered.order_by("key" if ascending else "-key", "-pk").values_list("pk", "key")[: request.size + 1]
        return [(pk, key.isoformat() if isinstance(key, datetime) else key) for pk, key in rows]

    # --- Writing -----------------------------------------------------------------------------------
    def index(self, documents: list[IndexDocument]) -> dict[int, str]:
        with transaction.atomic():
            ids = [document.incident_id for document in documents]
            # The row locks make the comparison of versions and the write atomic, so that no other worker interferes.
            alive = set(
                Incident.objects.select_for_update(no_key=True)
                .filter(pk__in=ids, deleted_at__isnull=True)
                .order_by("pk")
                .values_list("pk", flat=True)
            )
            here = dict(SearchDocument.objects.filter(pk__in=ids).values_list("pk", "index_version"))
            fresh = [d for d in documents if d.incident_id in alive and here.get(d.incident_id, 0) <= d.index_version]
            self._write(fresh)
        return {}

    def _write(self, documents: list[IndexDocument]) -> None:
        rows = [_row(document) for document in documents]
        columns = [f.name for f in SearchDocument._meta.fields if f.name != "incident"]
        SearchDocument.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["incident"], update_fields=columns
        )
        SearchValue.objects.filter(document__in=[document.incident_id for document in documents]).delete()
        SearchValue.objects.bulk_create(
            [
                SearchValue(document_id=document.incident_id, field=field, value=value[:120])
                for document in documents
                for field, values in (
                    *((f, document.facets[f]) for f in MULTIVALUED),
                    *document.values.items(),
                    ("due", document.shown["due"]),
                )
                for value in values
            ]
        )
        dialect().write(documents)

    def remove(self, incident_ids: dict[int, int]) -> None:
        with transaction.atomic():
            dialect().remove(list(incident_ids))
            SearchDocument.objects.filter(pk__in=incident_ids).delete()

    def refresh(self) -> None:
        """Nothing to do: committed rows are visible at once."""

    def versions(self) -> dict[int, int]:
        return dict(SearchDocument.objects.values_list("pk", "index_version"))


def _ranking(request: EngineRequest) -> Ranking | None:
    """The ranking by relevance, of one hit more than the page holds; None if there is nothing to score or another order
    was asked for."""
    among, texts = scored(expanded(request.root))
    if request.sort != "relevance" or among is None:
        return None
    weights = _weights(texts, rarities(texts, request.viewer, dialect().count))
    scores, scores_params = dialect().scores(weights, among)
    # Documents without any of the words (found through a filter in an OR) come last, with a score of 0.
    best = (
        "SELECT id, score FROM (SELECT id, max(score) AS score "
        "FROM (SELECT id, score FROM scored UNION ALL SELECT id, 0.0 FROM found) AS twice GROUP BY id) AS once"
    )
    best_params: list[object] = []
    if request.after:
        score, last = request.after
        best += " WHERE score < %s OR (score = %s AND id < %s)"
        best_params += [score, score, last]
    return Ranking(
        scores, scores_params, f"{best} ORDER BY score DESC, id DESC LIMIT %s", [*best_params, request.size + 1]
    )


def _weights(texts: Sequence[Text], rarities: Sequence[float]) -> dict[Text, float]:
    """The weight of each word or phrase: its rarity. A synonym follows its word. It counts less, and never as if it
    were rarer, because it would otherwise outweigh the word that was asked for."""
    out: dict[Text, float] = {}
    of_word = math.inf
    for text, rarity in zip(texts, rarities, strict=True):
        if text.text:
            of_word = rarity
        weight = text.weight * min(rarity, of_word) if text.weight < 1 else rarity
        # A word can be asked for and also be a synonym of another one.
        out[text] = max(out.get(text, 0.0), weight)
    return out


def _count_matches(viewer: Viewer, nodes: Sequence[Node]) -> tuple[int, list[int]]:
    """How many documents count for this viewer, and how many of them satisfy each node. The nodes are trees of words
    and phrases, followed by filters for one pattern each."""
    patterns = [node.values[0] for node in nodes if isinstance(node, ChoiceFilter)]
    total, counts = count_readable(nodes[: len(nodes) - len(patterns)], viewer, dialect().count)
    readable = SearchDocument.objects.filter(condition(mark_of(viewer)))
    rows = SearchValue.objects.filter(field="pattern", value__in=patterns, document__in=readable)
    found = dict(rows.values_list("value").annotate(Count("pk"))) if patterns else {}
    return total, [*counts, *(found.get(slug, 0) for slug in patterns)]


def _likeness_ranking(likeness: Likeness, size: int) -> Ranking:
    """The ranking by likeness. A word adds its weight once, however often it occurs in a document."""
    parts: list[str] = []
    params: list[object] = []
    for word, weight in likeness.words:
        condition, wanted = dialect().matching(dialect().expression(word))
        parts.append(f"SELECT incident_id AS id, %s AS score FROM search_searchdocument WHERE {condition}")
        params += [weight, *wanted]
    for slug, weight in likeness.patterns:
        parts.append(
            "SELECT document_id AS id, %s AS score FROM search_searchvalue WHERE field = 'pattern' AND value = %s"
        )
        params += [weight, slug]
    every = " UNION ALL ".join(parts)
    return Ranking(
        f"SELECT id, sum(score) AS score FROM ({every}) AS held WHERE id IN (SELECT id FROM found) GROUP BY id",
        params,
        "SELECT id, score FROM scored ORDER BY score DESC, id DESC LIMIT %s",
        [size],
    )


def fragments(texts: dict[str, str], matcher: highlight.Matcher) -> list[tuple[str, str]]:
    """The title if it matches, and the two weightiest sections that match, with their matches marked."""
    if not matcher.stems and not matcher.phrases:
        return []
    out = []
    if title := highlight.mark(texts["title"], matcher, len(texts["title"]), 1, markdown=False):
        out.append(("title", title))
    by_weight = sorted(
        (s for s in texts if s not in ("title", "ref")), key=lambda s: FIELD_WEIGHTS.get(s, DEFAULT_WEIGHT)
    )
    for section in by_weight:
        if marked := highlight.mark(texts[section], matcher):
            out.append((section, marked))
            if len(out) == MOST_FRAGMENTS + (out[0][0] == "title"):
                break
    return out


def _row(document: IndexDocument) -> SearchDocument:
    return SearchDocument(
        incident_id=document.incident_id,
        index_version=document.index_version,
        texts=document.texts,
        shown=document.shown,
        started_at=document.started_at,
        duration_seconds=document.duration_seconds,
        duration_counts=document.duration_counts,
        **{facet: document.facets[facet][0] for facet in _SINGLE},
    )
