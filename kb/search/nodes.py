"""The tree of a query: what engines compile, and what highlights are made from.

Nodes are frozen and compare by meaning: `text`, the words as they were typed, does not count. Build `And`, `Or` and
`Not` with `conjunction`, `disjunction` and `negation`, which flatten groups, drop repetitions, and never leave a group
with fewer than two children. An engine must accept any node anywhere: a `Not` inside an `Or`, a filter inside a group,
a root that only negates.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Self, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Moments `start <= t < end`, aware and in UTC. None means no bound; at least one of the two is set."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class SecondSpan:
    """Durations `low <= d < high` in whole seconds. None means no bound; at least one of the two is set."""

    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class Term:
    """A word, anywhere in a document. If it is `quoted`, its synonyms are not searched. One that is itself a synonym
    has no `text`, and a `weight` below 1."""

    stem: str
    text: str = dataclasses.field(default="", compare=False)
    quoted: bool = dataclasses.field(default=False, compare=False)
    weight: float = dataclasses.field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Two or more words next to each other in one text. If it is not `quoted`, a compound such as `us-east-1`."""

    stems: tuple[str, ...]
    text: str = dataclasses.field(default="", compare=False)
    quoted: bool = dataclasses.field(default=True, compare=False)
    weight: float = dataclasses.field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Filter(Generic[Value]):
    """A condition on a field of the record, satisfied by any one of the values. Never scored."""

    field: str
    values: tuple[Value, ...]
    text: str = dataclasses.field(default="", compare=False)

    def first(self, count: int) -> Self | None:
        """The filter with at most `count` of its values; None if that leaves none."""
        return dataclasses.replace(self, values=self.values[:count]) if count > 0 else None


class ChoiceFilter(Filter[str]):
    """Equal to one of the values, which `kb.search.fields` defines."""

    __slots__ = ()


class NumberFilter(Filter[int]):
    """Equal to one of the numbers."""

    __slots__ = ()


class DateFilter(Filter[DateSpan]):
    """Within one of the spans of time."""

    __slots__ = ()


class DurationFilter(Filter[SecondSpan]):
    """A duration within one of the spans. An unknown duration is in none of them."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more nodes."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more nodes."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that the child does not match; never directly around another `Not`."""

    child: "Node"


AnyFilter = ChoiceFilter | NumberFilter | DateFilter | DurationFilter
Text = Term | Phrase
Node = Text | AnyFilter | And | Or | Not


def conjunction(nodes: Iterable[Node | None]) -> Node | None:
    """All of the nodes; None stands for "no condition"."""
    return _group(And, nodes)


def disjunction(nodes: Iterable[Node | None]) -> Node | None:
    """Any of the nodes; None stands for "nothing specified", so that `a OR ()` is `a`."""
    return _group(Or, nodes)


def negation(node: Node | None) -> Node | None:
    if node is None:
        return None
    return node.child if isinstance(node, Not) else Not(node)


def _group(kind: type[And] | type[Or], nodes: Iterable[Node | None]) -> Node | None:
    # A dict keeps the first of equal nodes, in order.
    children: dict[Node, None] = {}
    for node in nodes:
        if isinstance(node, kind):
            children.update(dict.fromkeys(node.children))
        elif node is not None:
            children[node] = None
    if len(children) < 2:
        return next(iter(children), None)
    return kind(tuple(children))


def leaves(node: Node | None, *, positive: bool = False) -> Iterator[Text | AnyFilter]:
    """The words, phrases and filters in the order they were written; with `positive`, without those under a `Not`."""
    if isinstance(node, And | Or):
        for child in node.children:
            yield from leaves(child, positive=positive)
    elif isinstance(node, Not):
        if not positive:
            yield from leaves(node.child)
    elif node is not None:
        yield node


def rebuild(node: Node | None, replace: Callable[[Text | AnyFilter], Node | None]) -> Node | None:
    """The same tree with every leaf replaced, in the order they were written. A leaf that becomes None is left out."""
    if isinstance(node, And):
        return conjunction([rebuild(child, replace) for child in node.children])
    if isinstance(node, Or):
        return disjunction([rebuild(child, replace) for child in node.children])
    if isinstance(node, Not):
        return negation(rebuild(node.child, replace))
    return None if node is None else replace(node)
