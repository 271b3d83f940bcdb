"""Which of many phrases stand in a sentence, without asking each of them.

A phrase of one word is known by that word. Every other phrase is known by pairs of words: one of each of two
neighbouring elements (the two with the fewest pairs), or two neighbours inside a run of words. Of a sentence only
those pairs are looked at whose words are both in it, which are few however many phrases there are. For most phrases
a pair near enough is the phrase itself; the others are then looked for in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import repeat
from operator import or_
from typing import NamedTuple

from kb.patterns.phrases import STOP_STEMS, Element, Phrase, Sentence, Stems


class _Sign(NamedTuple):
    """A pair of words that a phrase is known by: the partner stands from `low` to `high` words after the word under
    which the pair is kept, or before it if negative. `is_all`: the pair is the whole phrase."""

    phrase: int
    low: int
    high: int
    is_all: bool


class _Row(NamedTuple):
    """The partners of a word, and their bits together."""

    bits: int
    partners: dict[str, tuple[_Sign, ...]]


class _Known(NamedTuple):
    """One word or two by which a phrase is known."""

    words: Stems
    reach: int
    is_all: bool


class _Key(NamedTuple):
    """The word by which an alternative is known, and how many of its words stand between it and the other element."""

    word: str
    beside: int
    is_all: bool


class PhraseIndex:
    """An index of phrases by their number in the sequence."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._phrases = phrases
        self._words: dict[str, list[int]] = {}
        pairs: dict[tuple[str, str], set[tuple[int, int, bool]]] = {}
        for number, phrase in enumerate(phrases):
            for words, reach, is_all in _known(phrase):
                if len(words) == 1:
                    self._words.setdefault(words[0], []).append(number)
                else:
                    pairs.setdefault((words[0], words[1]), set()).add((number, reach, is_all))
        rows = _rows(pairs)
        # One bit for each word that is a partner: a sentence's words become one number, and a row without a partner
        # among them is passed over by one operation.
        partners = sorted({partner for row in rows.values() for partner in row})
        self._bits = {word: 1 << place for place, word in enumerate(partners)}
        self._rows = {word: _Row(reduce(or_, map(self._bits.__getitem__, row)), row) for word, row in rows.items()}

    def standing(self, sentence: Sentence) -> list[int]:
        """The numbers of the phrases that stand in the sentence, in order."""
        at, again = sentence.at, sentence.again
        words = at.keys()
        found: set[int] = set()
        doubtful: set[int] = set()
        for word in self._words.keys() & words:
            found.update(self._words[word])
        bits = reduce(or_, map(self._bits.get, at, repeat(0)), 0)
        for word in self._rows.keys() & words:
            row_bits, row = self._rows[word]
            if not row_bits & bits:
                continue
            for partner in row.keys() & words:
                if word in again or partner in again:
                    distances = {o - p for p in sentence.all_at(word) for o in sentence.all_at(partner)}
                    for phrase, low, high, is_all in row[partner]:
                        if any(low <= distance <= high for distance in distances):
                            (found if is_all else doubtful).add(phrase)
                else:
                    distance = at[partner] - at[word]
                    for phrase, low, high, is_all in row[partner]:
                        if low <= distance <= high:
                            (found if is_all else doubtful).add(phrase)
        for number in doubtful - found:
            if next(self._phrases[number].placements(sentence), None):
                found.add(number)
        return sorted(found)


def _rows(
    pairs: Mapping[tuple[str, str], Iterable[tuple[int, int, bool]]],
) -> dict[str, dict[str, tuple[_Sign, ...]]]:
    """Pairs by one of their words: no stop word if that can be, else the one with fewer partners. Common words have
    many partners and would have to be looked at in nearly every sentence."""
    partners = Counter(word for pair in pairs for word in pair)
    rows: dict[str, dict[str, tuple[_Sign, ...]]] = {}
    for (first, second), known in pairs.items():
        if (first in STOP_STEMS, partners[first]) <= (second in STOP_STEMS, partners[second]):
            row, partner = rows.setdefault(first, {}), second
            signs = {_Sign(phrase, 1, reach, is_all) for phrase, reach, is_all in known}
        else:
            row, partner = rows.setdefault(second, {}), first
            signs = {_Sign(phrase, -reach, -1, is_all) for phrase, reach, is_all in known}
        row[partner] = tuple(sorted(signs.union(row.get(partner, ()))))
    return rows


def _known(phrase: Phrase) -> Iterator[_Known]:
    if len(phrase.elements) == 1:
        for run in phrase.elements[0].alternatives:
            if len(run) == 1:
                yield _Known(run, 0, True)
            else:
                place = min(range(len(run) - 1), key=lambda i: (run[i] in STOP_STEMS) + (run[i + 1] in STOP_STEMS))
                yield _Known(run[place : place + 2], 1, len(run) == 2)
        return
    place = min(range(len(phrase.gaps)), key=lambda place: _cost(phrase.elements[place], phrase.elements[place + 1]))
    gap = phrase.gaps[place]
    before, after = phrase.elements[place], phrase.elements[place + 1]
    for left, right in [(before, after), (after, before)] if gap.either else [(before, after)]:
        for one in _keys(left, at_end=True):
            for other in _keys(right, at_end=False):
                is_all = len(phrase.elements) == 2 and one.is_all and other.is_all
                yield _Known((one.word, other.word), gap.most + one.beside + other.beside + 1, is_all)


def _keys(element: Element, *, at_end: bool) -> Iterator[_Key]:
    """A word of each alternative: of several the one that tells something and stands nearest to the other element."""
    for run in element.alternatives:
        places = range(len(run) - 1, -1, -1) if at_end else range(len(run))
        place = next((place for place in places if run[place] not in STOP_STEMS), places[0])
        yield _Key(run[place], len(run) - 1 - place if at_end else place, len(run) == 1)


def _cost(one: Element, other: Element) -> int:
    """How often a pair of the two elements would be looked at in vain."""
    return _breadth(one.alternatives) * _breadth(other.alternatives)


def _breadth(alternatives: Iterable[Stems]) -> int:
    # A run of stop words is everywhere.
    return sum(20 if all(word in STOP_STEMS for word in run) else 1 for run in alternatives)
