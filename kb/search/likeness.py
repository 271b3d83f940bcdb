"""What makes an incident similar to another: the words that tell it from the rest, and its patterns.

All engines score alike: a hit's score is the sum of the weights of the words and patterns that it shares.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb.search.analysis import is_stop, spans
from kb.search.document import DISTINCTIVE_SECTIONS, IndexDocument
from kb.search.nodes import ChoiceFilter, Node, Or, Term
from kb.search.synonyms import expanded

MOST_WORDS = 25
# What a shared pattern would add if no other document had it; the words' weights add up to at most 1.
_PATTERN = 0.4
# A word that more than one in this many documents contains does not tell them apart.
_COMMON = 4
# Fewer documents than this cannot show which words are common, so the total is taken to be at least this.
_FEWEST = 100
# A word that no document contains has a rarity of 1. The words' rarities are divided by their sum, but by no less than
# this, so that a text of a few words cannot reach the full score: two words of a title can recur by chance.
_ENOUGH = 8

# Returns how many documents there are, and how many of them satisfy each node, among those that all viewers of the same
# kind (anonymous or signed in) can read.
CountMatches = Callable[[Sequence[Node]], tuple[int, list[int]]]
Synonyms = frozenset[Node]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a similar incident can share. `words`: each with its synonyms, and the score it adds; at most 1 in all.
    `patterns`: slugs, each with the score it adds."""

    words: list[tuple[Node, float]]
    patterns: list[tuple[str, float]]

    def __bool__(self) -> bool:
        return bool(self.words or self.patterns)

    @classmethod
    def of(cls, document: IndexDocument, count_matches: CountMatches) -> Likeness:
        occurrences, nodes = _words(document)
        frequent = sorted(nodes, key=lambda synonyms: -occurrences[synonyms])[: 2 * MOST_WORDS]
        patterns = document.facets["pattern"]
        wanted: list[Node] = [nodes[synonyms] for synonyms in frequent]
        wanted += [ChoiceFilter("pattern", (slug,)) for slug in patterns]
        total, matching = count_matches(wanted)
        total = max(total, _FEWEST)
        # Rarity is relative to that of what no document contains.
        most = inverse_frequency(total, 0)
        rarities = [inverse_frequency(total, n) / most for n in matching]
        rare = {
            synonyms: rarity
            for synonyms, rarity, n in zip(frequent, rarities, matching, strict=False)
            if n * _COMMON <= total
        }
        distinctive = sorted(rare, key=lambda synonyms: -occurrences[synonyms] * rare[synonyms])[:MOST_WORDS]
        total_rarity = max(sum(rare[synonyms] for synonyms in distinctive), _ENOUGH)
        return cls(
            [(nodes[synonyms], rare[synonyms] / total_rarity) for synonyms in distinctive],
            [(slug, _PATTERN * rarity) for slug, rarity in zip(patterns, rarities[len(frequent) :], strict=True)],
        )


def _words(document: IndexDocument) -> tuple[Counter[Synonyms], dict[Synonyms, Node]]:
    """How often each word occurs in what tells documents apart, and the query for it. Synonyms are one word."""
    occurrences: Counter[Term] = Counter()
    for section in DISTINCTIVE_SECTIONS:
        text = document.texts.get(section, "")
        for stem, start, end in spans(text):
            word = text[start:end]
            if len(stem) > 2 and not is_stop(word) and not stem.isdigit():
                occurrences[Term(stem, word)] += 1
    # A document that contains one of several synonyms contains them all.
    counts: Counter[Synonyms] = Counter()
    nodes: dict[Synonyms, Node] = {}
    for term, n in occurrences.items():
        node = expanded(term) or term
        synonyms: Synonyms = frozenset(node.children if isinstance(node, Or) else (node,))
        nodes.setdefault(synonyms, node)
        counts[synonyms] += n
    return counts, nodes


def inverse_frequency(total: int, held: int) -> float:
    """The inverse document frequency, as in BM25, of what `held` of `total` documents contain."""
    return math.log(1 + (total - held + 0.5) / (held + 0.5))
