"""The phrase language of the rules: its parser, and the matching of a phrase against the stems of a sentence.

    retry storm              these words in sequence, in any form ("retries stormed")
    (retry|load balancer)    one of these alternatives, each of one or more words
    <retry>                  one entry of the rule's word list of that name
    a ..4 b                  b after a, with at most 4 words between; `..` alone: anywhere later in the sentence
    a ~4 b                   the same in either order; `~` alone: anywhere in the sentence. Allowed once per phrase: it
                             swaps everything before it with everything after it

A phrase never matches across the end of a sentence. docs/patterns.md explains the language to authors of rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from kb.patterns.tokens import STOP_WORDS, joined, stem, stems

STOP_STEMS = frozenset(map(stem, STOP_WORDS))
# A gap longer than any sentence.
ANYWHERE = 10_000
_PIECES = re.compile(r"\(|\)|\||<[a-z_]*>|\.\.\d*|~\d*|[^()|<>~.]+|.")
# The number of placements of one phrase in one sentence that are examined. Real sentences have a few; the bound guards
# against texts that repeat a word hundreds of times.
_PLACEMENTS = 200

Stems = tuple[str, ...]
# The alternatives that can match at one position, each a run of stems.
Element = frozenset[Stems]
# A half-open range of word positions in a sentence.
Span = tuple[int, int]


class BadPhrase(ValueError):
    """A phrase that cannot be used. The message gives the reason and continues a sentence about the phrase."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Elements in order, with at most `gaps[i]` words between `elements[i]` and `elements[i + 1]`."""

    elements: tuple[Element, ...]
    gaps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Phrase:
    """One chain, or two with the same elements in two orders."""

    chains: tuple[Chain, ...]

    @property
    def elements(self) -> tuple[Element, ...]:
        return self.chains[0].elements

    def placements(self, sentence: Sequence[str]) -> Iterator[tuple[Span, ...]]:
        """The occurrences of the phrase in a sentence, as the spans of its elements; at most `_PLACEMENTS`.

        This defines what a phrase means. kb/patterns/index.py is a faster test for whether it occurs at all.
        """
        return islice((found for chain in self.chains for found in _placed(chain, sentence)), _PLACEMENTS)


def _placed(chain: Chain, sentence: Sequence[str]) -> Iterator[tuple[Span, ...]]:
    places = [_places(element, sentence) for element in chain.elements]
    # Positions already found to have no completion, so that backtracking never retries them.
    dead: set[tuple[int, Span]] = set()

    def after(index: int, before: int | None) -> Iterator[tuple[Span, ...]]:
        for span in places[index]:
            if (index, span) in dead or (before is not None and not 0 <= span[0] - before <= chain.gaps[index - 1]):
                continue
            if index == len(places) - 1:
                yield (span,)
                continue
            completed = False
            for rest in after(index + 1, span[1]):
                completed = True
                yield (span, *rest)
            if not completed:
                dead.add((index, span))

    return after(0, None) if all(places) else iter(())


def _places(element: Element, sentence: Sequence[str]) -> list[Span]:
    runs = _by_first_word(element)
    return [
        (place, place + len(run))
        for place, word in enumerate(sentence)
        if word in runs
        for run in runs[word]
        if len(run) == 1 or tuple(sentence[place : place + len(run)]) == run
    ]


@cache
def _by_first_word(element: Element) -> dict[str, list[Stems]]:
    out: dict[str, list[Stems]] = {}
    for run in sorted(element):
        out.setdefault(run[0], []).append(run)
    return out


def parse(text: str, lists: Mapping[str, Sequence[str]] | None = None) -> Phrase:
    """Parse a phrase. `lists` are the rule's word lists with their references resolved. Raises BadPhrase."""
    if "*" in text or "?" in text:
        raise BadPhrase("it has a wildcard, which matches everything; words match in all their forms without one")
    sides = re.split(r"~(\d*)", text)
    if len(sides) > 3:
        raise BadPhrase("it has more than one ~; only one is allowed")
    chains = [_chain(side, lists or {}) for side in sides[::2]]
    if all(any(_is_stopped(run) for run in element) for chain in chains for element in chain.elements):
        raise BadPhrase("it can be matched by stop words alone, so it matches everything; add a specific word")
    if len(chains) == 1:
        return Phrase((chains[0],))
    most = int(sides[1]) if sides[1] else ANYWHERE
    left, right = chains
    return Phrase((_joined(left, most, right), _joined(right, most, left)))


def _joined(left: Chain, most: int, right: Chain) -> Chain:
    return Chain(left.elements + right.elements, (*left.gaps, most, *right.gaps))


def _chain(text: str, lists: Mapping[str, Sequence[str]]) -> Chain:
    elements: list[Element] = []
    gaps: list[int] = []
    gap: int | None = None

    def add(element: Iterable[Stems]) -> None:
        nonlocal gap
        if elements:
            gaps.append(gap or 0)
        elif gap is not None:
            raise BadPhrase("it begins with a gap; put a word before it")
        elements.append(frozenset(element))
        gap = None

    pieces = _pieces(text)
    for piece in pieces:
        if piece == "(":
            add(_alternatives(pieces, lists))
        elif piece[0] == "<":
            add(_listed(piece, lists))
        elif piece[:2] == "..":
            if gap is not None:
                raise BadPhrase("it has two gaps in a row")
            gap = int(piece[2:]) if piece[2:] else ANYWHERE
        elif piece in (")", "|", ".", "<", ">"):
            raise BadPhrase(f"the {piece} has no meaning in that position")
        else:
            for word in stems(joined(piece)):
                add([(word,)])
    if gap is not None:
        raise BadPhrase("it ends with a gap; put a word after it")
    if not elements:
        raise BadPhrase("it has no words")
    return Chain(tuple(elements), tuple(gaps))


def _pieces(text: str) -> Iterator[str]:
    return (piece.strip() for piece in _PIECES.findall(text) if piece.strip())


def _alternatives(pieces: Iterator[str], lists: Mapping[str, Sequence[str]]) -> set[Stems]:
    found: set[Stems] = set()
    # The alternative read since the last bar, or None.
    current: set[Stems] | None = None
    for piece in pieces:
        if piece in ("|", ")"):
            if current is None:
                raise BadPhrase("it has an empty alternative, which matches everything")
            found |= current
            if piece == ")":
                return found
            current = None
        elif current is not None:
            raise BadPhrase("alternatives must be separated by |")
        elif piece[0] == "<":
            current = _listed(piece, lists)
        elif piece[0] in "(.":
            raise BadPhrase(f"the {piece} has no meaning between parentheses")
        else:
            run = tuple(stems(joined(piece)))
            if not run:
                raise BadPhrase("it has an empty alternative, which matches everything")
            current = {run}
    raise BadPhrase("it has a parenthesis that is not closed")


def _listed(piece: str, lists: Mapping[str, Sequence[str]]) -> set[Stems]:
    name = piece[1:-1]
    if name not in lists:
        raise BadPhrase(f"there is no word list named {name or 'nothing'}")
    runs = {tuple(stems(joined(entry))) for entry in lists[name]}
    if () in runs:
        raise BadPhrase(f"the word list {name} has an entry without words, which matches everything")
    return runs


def _is_stopped(run: Stems) -> bool:
    return all(word in STOP_STEMS for word in run)
