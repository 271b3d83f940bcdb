"""What makes an incident like another for an engine: the words that tell it from others, and its patterns.

Every engine weighs the same: a hit's score is the sum of what it holds of these, whichever engine found it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb.search.analysis import is_stop, spans
from kb.search.document import TELLING, IndexDocument
from kb.search.nodes import Node, Or, Term
from kb.search.synonyms import expanded

MOST_WORDS = 25
# What a shared pattern adds to the likeness of the words, which is at most 1.
SHARED_PATTERN = 0.5
# A word that one in so many documents holds tells none of them from the others.
_COMMON = 4
# Fewer documents cannot show which words are common: they are counted as if there were others, without these words.
_FEWEST = 100
# The least that a text's words are worth together, where one that no document holds is worth 1. A text of fewer words
# tells less than a whole likeness: who holds both words of a title may hold them by chance.
_ENOUGH = 8

# How many documents there are, and how many of them hold each of some words, among those that everybody who asks
# likewise may read.
Counted = Callable[[Sequence[Node]], tuple[int, list[int]]]


@dataclass(frozen=True, slots=True)
class Likeness:
    """`words`: what each adds, beside its synonyms; all of them together at most 1. `patterns`: slugs, each of which
    adds SHARED_PATTERN."""

    words: list[tuple[Node, float]]
    patterns: list[str]

    def __bool__(self) -> bool:
        return bool(self.words or self.patterns)

    @classmethod
    def of(cls, document: IndexDocument, counted: Counted) -> Likeness:
        return cls(_telling_words(document, counted), document.facets["pattern"])


def _telling_words(document: IndexDocument, counted: Counted) -> list[tuple[Node, float]]:
    """The words that stand often in the document and in few others, by how rare they are."""
    often: Counter[Term] = Counter()
    for section in TELLING:
        text = document.texts.get(section, "")
        for stem, start, end in spans(text):
            word = text[start:end]
            if len(stem) > 2 and not is_stop(word) and not stem.isdigit():
                often[Term(stem, word)] += 1
    # Synonyms are one word: whoever holds one of them holds them all.
    times: dict[frozenset[Node], int] = {}
    nodes: dict[frozenset[Node], Node] = {}
    for term, n in often.items():
        node = expanded(term) or term
        same: frozenset[Node] = frozenset(node.children if isinstance(node, Or) else (node,))
        nodes.setdefault(same, node)
        times[same] = times.get(same, 0) + n
    frequent = sorted(nodes, key=lambda same: -times[same])[: 2 * MOST_WORDS]
    total, held = counted([nodes[same] for same in frequent])
    total = max(total, _FEWEST)
    # Against a word that no document holds.
    most = inverse_frequency(total, 0)
    rare = {
        same: inverse_frequency(total, n) / most for same, n in zip(frequent, held, strict=True) if n * _COMMON <= total
    }
    telling = sorted(rare, key=lambda same: -times[same] * rare[same])[:MOST_WORDS]
    whole = max(sum(rare[same] for same in telling), _ENOUGH)
    return [(nodes[same], rare[same] / whole) for same in telling]


def inverse_frequency(total: int, held: int) -> float:
    """The inverse document frequency as BM25 has it, of what so many of all documents hold."""
    return math.log(1 + (total - held + 0.5) / (held + 0.5))
