"""The contract that every search engine keeps, verified by one test suite that runs against each of them.

An engine answers an `EngineRequest` with an `Answer`. Who can find what is part of the query itself, so totals, facets
and highlights reveal nothing about documents that the viewer cannot see.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from incidents.outbox_consumer import Unreachable
from incidents.scopes import Viewer
from kb.search.document import IndexDocument
from kb.search.nodes import AnyFilter, ChoiceFilter, Node, Text, rebuild

Sort = Literal["relevance", "newest", "oldest", "longest", "shortest", "severity"]
SORTS: tuple[Sort, ...] = ("relevance", "newest", "oldest", "longest", "shortest", "severity")

FACETS = (
    "organization",
    "severity",
    "status",
    "pattern",
    "family",
    "year",
    "origin",
    "detected_by",
    "mitigation",
    "duration",
)
MULTIVALUED = ("pattern", "family", "mitigation")


class Unavailable(Unreachable):
    """The engine cannot be reached, or does not answer in time. Says nothing about the documents."""


class Refused(Exception):
    """The engine is healthy but rejects this one query, for example because it exceeds one of the engine's limits."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One search.

    root     what must hold, or None for everything; its positive words are scored and highlighted.
             Engines select documents by `condition`, which is `root` limited to what this viewer can ask about
    chosen   {facet: values}, any of the values of each facet; a facet's own counts ignore its own choice
    after    the sort key and id of the last hit of the previous page
    archived whether archived incidents are included
    """

    viewer: Viewer
    root: Node | None = None
    chosen: dict[str, list[str]] = field(default_factory=dict)
    sort: Sort = "relevance"
    size: int = 20
    after: tuple[float | str, int] | None = None
    archived: bool = False

    @property
    def condition(self) -> Node | None:
        """`root`, in which a condition on teams finds nothing for anonymous viewers. They are not shown which team an
        incident belongs to, so their results must not reveal it either."""
        return self.root if self.viewer.is_signed_in else rebuild(self.root, _without_teams)


def _without_teams(leaf: Text | AnyFilter) -> Node:
    return replace(leaf, values=()) if isinstance(leaf, ChoiceFilter) and leaf.field == "team" else leaf


@dataclass(frozen=True, slots=True)
class Hit:
    """One incident found. `fragments`: [(section, text with its matches between the two mark characters)], best
    first."""

    incident_id: int
    score: float
    sort_key: float | str
    shown: dict[str, Any]
    fragments: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of hits. `facets`: {facet: {value: count}}. `has_more`: another page follows."""

    total: int
    hits: list[Hit]
    has_more: bool
    facets: dict[str, dict[str, int]]
    median_duration_seconds: int | None


class Engine(Protocol):
    """`index` and `remove` are idempotent. A document that is older than the indexed one changes nothing."""

    name: str

    def search(self, request: EngineRequest) -> Answer:
        """Raises Unavailable and Refused."""

    def like(self, viewer: Viewer, document: IndexDocument, size: int) -> list[Hit]:
        """Incidents that the viewer can find and that have words or patterns in common with the document, most similar
        first. Never the document itself. Hits have no fragments. Raises Unavailable and Refused.
        """

    def index(self, documents: list[IndexDocument]) -> dict[int, str]:
        """Write documents. Returns {incident_id: reason} for those that the engine refuses. Raises Unavailable."""

    def remove(self, incident_ids: dict[int, int]) -> None:
        """Make the incidents in {incident_id: index_version} impossible to find. Raises Unavailable."""

    def refresh(self) -> None:
        """Once this returns, every search sees what was written before the call. Raises Unavailable."""

    def versions(self) -> dict[int, int]:
        """{incident_id: index_version} of every document that can be found. Raises Unavailable."""
