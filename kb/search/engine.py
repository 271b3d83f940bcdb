"""The contract that every search engine keeps, proven by one suite that runs against each.

An engine answers an `Ask` with an `Answer`: who may find what is part of the query itself, so totals, facets and
highlights tell nothing about documents that the viewer may not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from incidents.consume import Unreachable
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
    """The engine cannot be reached, or not in time. Says nothing about the documents."""


class Refused(Exception):
    """The engine is well and will not answer this one query: it asks for more than the engine allows, say."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One search.

    root     what must hold, or None for everything; its positive words are what is scored and highlighted.
             Engines compile `condition`, which is what of it this viewer may ask
    chosen   {facet: values}, any of the values of each; a facet's own counts ignore its own choice
    after    the sort key and id of the last hit of the page before
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
        """`root`, where a condition on teams finds nothing for strangers: which team something belongs to is not
        shown to them, so it must not show in what they find."""
        return self.root if self.viewer.is_signed_in else rebuild(self.root, _without_teams)


def _without_teams(leaf: Text | AnyFilter) -> Node:
    return replace(leaf, values=()) if isinstance(leaf, ChoiceFilter) and leaf.field == "team" else leaf


@dataclass(frozen=True, slots=True)
class Hit:
    """`fragments`: [(section, text with the matches between the two mark characters)], best first."""

    incident_id: int
    score: float
    sort_key: float | str
    shown: dict[str, Any]
    fragments: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """`facets`: {facet: {value: count}}. `has_more`: there is a page after this one."""

    total: int
    hits: list[Hit]
    has_more: bool
    facets: dict[str, dict[str, int]]
    median_duration_seconds: int | None


class Engine(Protocol):
    """`index` and `remove` are idempotent; a document older than the one that is there changes nothing."""

    name: str

    def search(self, ask: Ask) -> Answer:
        """Raises Unavailable and Refused."""

    def like(self, viewer: Viewer, document: IndexDocument, size: int) -> list[Hit]:
        """What the viewer may find that reads like the document or shares a pattern with it, the likest first.

        Never the document itself. Hits have no fragments. Raises Unavailable and Refused.
        """

    def index(self, documents: list[IndexDocument]) -> dict[int, str]:
        """Write documents; returns {incident_id: reason} for those that the engine refuses. Raises Unavailable."""

    def remove(self, incident_ids: dict[int, int]) -> None:
        """Make incidents unfindable; {incident_id: index_version}. Raises Unavailable."""

    def refresh(self) -> None:
        """From its return on, every search sees what was written before it. Raises Unavailable."""

    def versions(self) -> dict[int, int]:
        """{incident_id: index_version} of everything that can be found. Raises Unavailable."""
