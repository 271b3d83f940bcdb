"""Translates the tree of a query into a condition on the rows of search documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import ModuleType

from django.db import connection
from django.db.models import BooleanField, Exists, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from incidents.vocabulary import Status
from kb.search.database import postgresql, sqlite
from kb.search.engine import MULTIVALUED
from kb.search.models import SearchValue
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
    conjunction,
    disjunction,
    leaves,
)


def dialect() -> ModuleType:
    """The module for this database's full-text index."""
    return postgresql if connection.vendor == "postgresql" else sqlite


def condition(node: Node | None) -> Q:
    """The condition that selects the documents that satisfy the tree. None is satisfied by all of them."""
    match node:
        case None:
            return Q()
        case Not(child=child):
            return ~condition(child)
        case And(children=children) if not is_text(node):
            texts = [child for child in children if is_text(child)]
            out = _matches(And(tuple(texts)) if len(texts) > 1 else texts[0]) if texts else Q()
            for child in children:
                if not is_text(child):
                    out &= condition(child)
            return out
        case Or(children=children) if not is_text(node):
            out = Q(pk__in=[])
            for child in children:
                out |= condition(child)
            return out
        case Filter():
            return _filter(node)
        case _:
            return _matches(node)


def is_text(node: Node) -> bool:
    """Whether the tree has only words, phrases, ANDs and ORs, so that it is one expression for the full-text index."""
    if isinstance(node, And | Or):
        return all(is_text(child) for child in node.children)
    return isinstance(node, Term | Phrase)


def scored(root: Node | None) -> tuple[Node | None, tuple[Text, ...]]:
    """A tree that is satisfied by every document that can have a score, and the words and phrases that are scored.

    The tree consists only of these words and phrases, and is as narrow as possible, because scoring is the most
    expensive step. If all of them are at the top level or in an OR there, it requires those parts; otherwise it is an
    OR of them all. It is None if there is nothing to score.
    """
    texts = tuple(leaf for leaf in leaves(root, positive=True) if isinstance(leaf, Term | Phrase))
    parts = root.children if isinstance(root, And) else (root,)
    required = [part for part in parts if part is not None and _is_any_of_words(part)]
    if len([leaf for part in required for leaf in leaves(part)]) == len(texts):
        return conjunction(required), texts
    return disjunction(texts), texts


def _is_any_of_words(node: Node) -> bool:
    return all(isinstance(part, Term | Phrase) for part in (node.children if isinstance(node, Or) else (node,)))


def _matches(node: Node) -> Q:
    sql, params = dialect().matching(dialect().expression(node))
    return Q(RawSQL(sql, params, output_field=BooleanField()))  # noqa: S611  (SQL of the dialects, no user input)


def _has_value(field: str, values: list[str]) -> Q:
    return Q(Exists(SearchValue.objects.filter(document=OuterRef("pk"), field=field, value__in=values)))


def _filter(node: Filter) -> Q:
    match node:
        case NumberFilter(values=values):
            return Q(pk__in=list(values))
        case DateFilter(values=spans):
            return _any(_within("started_at", span.start, span.end) for span in spans)
        case DurationFilter(values=spans):
            return _any(_within("duration_seconds", span.low, span.high) for span in spans)
        case ChoiceFilter(field=field, values=values):
            return _choice(field, list(values))
    raise TypeError(f"no condition for {node!r}")


def _within(column: str, low: datetime | int | None, high: datetime | int | None) -> Q:
    out = Q(**{f"{column}__isnull": False})
    if low is not None:
        out &= Q(**{f"{column}__gte": low})
    if high is not None:
        out &= Q(**{f"{column}__lt": high})
    return out


def _any(conditions: Iterable[Q]) -> Q:
    out = Q(pk__in=[])
    for one in conditions:
        out |= one
    return out


def _choice(field: str, values: list[str]) -> Q:
    match field:
        case "org":
            return _has_value("organization", values)
        case "visibility":
            return Q(incident__visibility__in=values)
        case "is":
            # Due dates are stored as YYYY-MM-DD, so comparing them as text compares them in time.
            today = timezone.now().date().isoformat()
            return Q(Exists(SearchValue.objects.filter(document=OuterRef("pk"), field="due", value__lt=today)))
        case "detected":
            return Q(detected_by__in=values)
        case "severity" | "status" | "origin":
            return Q(**{f"{field}__in": values})
        case _:
            return _has_value(field, values)


def chosen(facet: str, values: list[str]) -> Q:
    """Documents with any of the values chosen for a facet."""
    return _has_value(facet, values) if facet in MULTIVALUED else Q(**{f"{facet}__in": values})


def names_archived(node: Node | None) -> bool:
    """Whether the query itself asks for archived incidents."""
    if isinstance(node, And | Or):
        return any(names_archived(child) for child in node.children)
    return isinstance(node, ChoiceFilter) and node.field == "status" and Status.ARCHIVED in node.values
