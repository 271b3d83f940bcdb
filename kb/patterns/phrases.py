"""The small language of phrases in rules, and finding a phrase among the stems of a sentence.

    retry storm              these words, one after the other, in any form ("retries stormed")
    (retry|load balancer)    one of these, each of one or more words
    <retry>                  one of the rule's list of words of that name
    a ..4 b                  b after a, with at most 4 words between; `..` alone: anywhere later in the sentence
    a ~4 b                   the same, in either order; `~` alone: anywhere in the sentence

A phrase never reaches over the end of a sentence. docs/patterns.md tells it to those who write rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from kb.patterns.tokens import STOP_WORDS, stem, stems

STOP_STEMS = frozenset(map(stem, STOP_WORDS))
_PIECES = re.compile(r"\(|\)|\||<[a-z_]*>|\.\.\d*|~\d*|[^()|<>~.]+|.")
_ANYWHERE = 10_000
# Ways of placing one phrase in one sentence that are looked at until one of them counts. People's sentences have a few;
# the bound is for texts that repeat a word hundreds of times.
_PLACEMENTS = 200

Stems = tuple[str, ...]
Span = tuple[int, int]


class BadPhrase(ValueError):
    """A phrase that cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Gap:
    """At most `most` words between an element and the next; `either`: the next may also stand before it."""

    most: int = 0
    either: bool = False


class Sentence:
    """The stems of a sentence, and where in it each of them stands: `at` the last place, `again` all places of those
    that stand there more than once."""

    __slots__ = ("_places", "again", "at", "stems")

    def __init__(self, stems: Sequence[str]) -> None:
        self.stems = stems
        self.at = at = dict(zip(stems, range(len(stems)), strict=True))
        self.again = again = {}  # type: dict[str, list[int]]
        self._places: dict[Element, list[Span]] = {}
        if len(at) < len(stems):
            for place, word in enumerate(stems):
                if at[word] != place:
                    again.setdefault(word, []).append(place)
            for word, places in again.items():
                places.append(at[word])

    def all_at(self, word: str) -> Sequence[int]:
        return self.again.get(word) or (self.at[word],)

    def places(self, element: Element) -> list[Span]:
        """Where an element stands, in order. Rules share elements, so each is looked for once."""
        found = self._places.get(element)
        if found is None:
            found = self._places[element] = element.places(self)
        return found


class Element:
    """One of several alternatives, each a run of stems. Equal ones are the same object: see `Element.of`."""

    __slots__ = ("_runs", "_words", "alternatives")
    _known: ClassVar[dict[frozenset[Stems], Element]] = {}

    def __init__(self, alternatives: frozenset[Stems]) -> None:
        self.alternatives = alternatives
        self._words = frozenset(run[0] for run in alternatives if len(run) == 1)
        self._runs: dict[str, list[Stems]] = {}
        for run in sorted(run for run in alternatives if len(run) > 1):
            self._runs.setdefault(run[0], []).append(run)

    @classmethod
    def of(cls, alternatives: Iterable[Stems]) -> Element:
        key = frozenset(alternatives)
        return cls._known.setdefault(key, cls(key))

    def places(self, sentence: Sentence) -> list[Span]:
        words = sentence.at.keys()
        found = [(i, i + 1) for word in self._words & words for i in sentence.all_at(word)]
        if self._runs:
            for first in self._runs.keys() & words:
                for run in self._runs[first]:
                    length = len(run)
                    found += [
                        (i, i + length) for i in sentence.all_at(first) if tuple(sentence.stems[i : i + length]) == run
                    ]
        if len(found) > 1:
            found.sort()
        return found


@dataclass(frozen=True, slots=True)
class Phrase:
    """Elements with the gaps between them: `gaps[i]` stands between `elements[i]` and `elements[i + 1]`."""

    elements: tuple[Element, ...]
    gaps: tuple[Gap, ...]
    words: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = frozenset(word for element in self.elements for run in element.alternatives for word in run)
        object.__setattr__(self, "words", words)

    def placements(self, sentence: Sentence) -> Iterator[tuple[Span, ...]]:
        """The ways in which the phrase stands in a sentence, as the spans of its elements, earliest first; at most
        `_PLACEMENTS` of them."""
        places = []
        for element in self.elements:
            found = sentence.places(element)
            if not found:
                return iter(())
            places.append(found)
        return islice(_placed(places, self.gaps, 0, None, set()), _PLACEMENTS)


def _placed(
    places: list[list[Span]], gaps: tuple[Gap, ...], index: int, before: Span | None, dead: set[tuple[int, Span]]
) -> Iterator[tuple[Span, ...]]:
    """`dead` remembers what had no completion, so that a failing search stays short."""
    for span in places[index]:
        if (index, span) in dead or (before is not None and not _fits(before, span, gaps[index - 1])):
            continue
        if index == len(places) - 1:
            yield (span,)
            continue
        completed = False
        for rest in _placed(places, gaps, index + 1, span, dead):
            completed = True
            yield (span, *rest)
        if not completed:
            dead.add((index, span))


def _fits(before: Span, span: Span, gap: Gap) -> bool:
    if 0 <= span[0] - before[1] <= gap.most:
        return True
    return gap.either and 0 <= before[0] - span[1] <= gap.most


def parse(text: str, lists: Mapping[str, Sequence[str]] | None = None) -> Phrase:
    """Read a phrase; `lists` are the rule's lists of words, already free of references. Raises BadPhrase."""
    elements: list[Element] = []
    gaps: list[Gap] = []
    gap: Gap | None = None
    if "*" in text or "?" in text:
        raise BadPhrase("it has a wildcard, which matches everything; words match in all their forms anyway")

    def add(element: Element) -> None:
        nonlocal gap
        if elements:
            gaps.append(gap or Gap())
        elif gap:
            raise BadPhrase("it begins with a gap")
        elements.append(element)
        gap = None

    pieces = _pieces(text)
    for piece in pieces:
        if piece == "(":
            add(_alternatives(pieces, lists or {}))
        elif piece[0] == "<":
            add(_listed(piece, lists or {}))
        elif piece[0] in ".~" and piece != ".":
            if gap:
                raise BadPhrase("two gaps follow each other")
            number = piece.lstrip(".~")
            gap = Gap(int(number) if number else _ANYWHERE, piece[0] == "~")
        elif piece in (")", "|", ".", "<", ">"):
            raise BadPhrase(f"the {piece} has no meaning there")
        else:
            for word in stems(piece):
                add(Element.of([(word,)]))
    if gap:
        raise BadPhrase("it ends with a gap")
    if not elements:
        raise BadPhrase("it has no words")
    if all(any(_is_stopped(run) for run in element.alternatives) for element in elements):
        raise BadPhrase("it can be matched by stop words alone, so it matches everything")
    return Phrase(tuple(elements), tuple(gaps))


def _pieces(text: str) -> Iterator[str]:
    return (piece.strip() for piece in _PIECES.findall(text) if piece.strip())


def _alternatives(pieces: Iterator[str], lists: Mapping[str, Sequence[str]]) -> Element:
    found: set[Stems] = set()
    current: list[str] | None = None
    for piece in pieces:
        if piece in ("|", ")"):
            if current is None:
                raise BadPhrase("it has an empty alternative, which matches everything")
            if current:
                found.add(tuple(current))
            if piece == ")":
                return Element.of(found)
            current = None
        elif piece[0] == "<":
            if current is not None:
                raise BadPhrase(f"{piece} stands alone between bars")
            found |= _listed(piece, lists).alternatives
            current = []
        elif piece[0] in "(~.":
            raise BadPhrase(f"the {piece} has no meaning between parentheses")
        elif current is not None:
            raise BadPhrase("alternatives are separated by a bar")
        elif not (current := stems(piece)):
            raise BadPhrase("it has an empty alternative, which matches everything")
    raise BadPhrase("a parenthesis is not closed")


def _listed(piece: str, lists: Mapping[str, Sequence[str]]) -> Element:
    name = piece[1:-1]
    if name not in lists:
        raise BadPhrase(f"there is no list of words named {name or 'nothing'}")
    runs = {tuple(stems(entry)) for entry in lists[name]}
    if () in runs:
        raise BadPhrase(f"the list {name} has an entry without words, which matches everything")
    return Element.of(runs)


def _is_stopped(run: Stems) -> bool:
    return all(word in STOP_STEMS for word in run)
