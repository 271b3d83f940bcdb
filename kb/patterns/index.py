"""Finds which of many phrases occur in a sentence, in one pass over its words.

Each word that occurs in a phrase is mapped to one character, so that a sentence becomes a string with one character per
word and a space for every unknown word. The search then takes two steps:

1. A bitmap filter. Each phrase has one bit in each of three rows, one row for each of its three most selective
   elements. A word sets the bits of the elements that it can match, so the union over a sentence takes one integer
   operation per word for all phrases together. Only a phrase whose bit is set in every row can occur.
2. Each of the few remaining candidates is verified in full with a regular expression over the mapped characters, unless
   it asks for one word only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_

from kb.patterns.phrases import ANYWHERE, STOP_STEMS, Chain, Element, Phrase
from kb.patterns.tokens import COMPOUNDS, ByWord, stem, stems

_ROWS = 3
# The first mapped character. From here on no character has a meaning in a regular expression, and there is room for
# about 20,000 words before the surrogates.
_FIRST = 0x8000
_UNKNOWN = " "


class PhraseIndex:
    """Phrases by their number in the sequence. `watched` are further words whose presence `find` reports."""

    def __init__(self, phrases: Sequence[Phrase], watched: Collection[str] = ()) -> None:
        words = {word for phrase in phrases for element in phrase.elements for run in element for word in run}
        words = words.union(watched, *COMPOUNDS)
        letters = {word: chr(_FIRST + place) for place, word in enumerate(sorted(words))}
        self._compounds = [
            ("".join(letters[word] for word in pair), letters.get(stem(one), _UNKNOWN))
            for pair, one in COMPOUNDS.items()
        ]
        self._count = len(phrases)
        self._searches = [re.compile(_pattern(phrase, letters), re.DOTALL).search for phrase in phrases]
        self._pieces: ByWord[str] = ByWord(lambda piece: "".join(letters.get(word, _UNKNOWN) for word in stems(piece)))
        self._fill(phrases, letters)
        self._watched_bit = 1 << (_ROWS * self._count)
        for word in watched:
            self._rows[letters[word]] = self._rows.get(letters[word], 0) | self._watched_bit

    def _fill(self, phrases: Sequence[Phrase], letters: dict[str, str]) -> None:
        shared = Counter(word for phrase in phrases for element in phrase.elements for run in element for word in run)
        self._rows: dict[str, int] = {_UNKNOWN: 0, **dict.fromkeys(letters.values(), 0)}
        # The bits of phrases with fewer elements than rows, preset in the rows that they do not use.
        self._filled = 0
        for number, phrase in enumerate(phrases):
            keys = sorted(
                (_keys(element, shared) for element in phrase.elements), key=lambda key: _breadth(key, shared)
            )
            for row in range(_ROWS):
                bit = 1 << (row * self._count + number)
                if row < len(keys):
                    for word in keys[row]:
                        self._rows[letters[word]] |= bit
                else:
                    self._filled |= bit
        self._lowest = (1 << self._count) - 1
        self._certain = sum(1 << number for number, phrase in enumerate(phrases) if _is_one_word(phrase))

    def find(self, text: str) -> tuple[list[int], bool]:
        """The numbers of the phrases that occur in a sentence, ascending, and whether it contains a watched word."""
        sentence = "".join(map(self._pieces.__getitem__, text.split()))
        for pair, one in self._compounds:
            sentence = sentence.replace(pair, one)
        rows = reduce(or_, map(self._rows.__getitem__, sentence), self._filled)
        count = self._count
        left = rows & (rows >> count) & (rows >> 2 * count) & self._lowest
        found = []
        while left:
            lowest = left & -left
            left ^= lowest
            number = lowest.bit_length() - 1
            if lowest & self._certain or self._searches[number](sentence):
                found.append(number)
        return found, bool(rows & self._watched_bit)


def _is_one_word(phrase: Phrase) -> bool:
    """Whether any sentence with one of the phrase's words contains the phrase."""
    return all(len(chain.elements) == 1 and all(len(run) == 1 for run in chain.elements[0]) for chain in phrase.chains)


def _keys(element: Element, shared: Counter[str]) -> set[str]:
    """For each alternative of an element, its most selective word, without which that alternative cannot match."""
    return {min(run, key=lambda word: (word in STOP_STEMS, shared[word], word)) for run in element}


def _breadth(words: set[str], shared: Counter[str]) -> int:
    """A rough measure of how often a sentence contains one of the words. It nearly always contains a stop word."""
    return sum(1_000 if word in STOP_STEMS else shared[word] for word in words)


def _pattern(phrase: Phrase, letters: dict[str, str]) -> str:
    return "|".join(_chain(chain, letters) for chain in phrase.chains)


def _chain(chain: Chain, letters: dict[str, str]) -> str:
    out = [_element(chain.elements[0], letters)]
    for most, element in zip(chain.gaps, chain.elements[1:], strict=True):
        # Lazy quantifiers, because the next element is usually near if it is there at all.
        out += ["" if not most else ".*?" if most >= ANYWHERE else f".{{0,{most}}}?", _element(element, letters)]
    return "".join(out)


def _element(element: Element, letters: dict[str, str]) -> str:
    ways = ["".join(letters[word] for word in run) for run in sorted(element)]
    single = "".join(way for way in ways if len(way) == 1)
    longer = [way for way in ways if len(way) > 1]
    if not longer:
        return f"[{single}]"
    return f"(?:{'|'.join([*longer, f'[{single}]'] if single else longer)})"
