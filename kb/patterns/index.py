"""Which of many phrases stand in a sentence, found in one pass over its words.

Every word that a phrase can use is a character of an alphabet, and a sentence is a text over it, with a space for each
word that no phrase knows. Two steps find the phrases:

1. Each phrase has one bit in each of three rows. A word that can stand for one of its three most telling elements sets
   its bit in that element's row. The union over the words of a sentence is one operation on integers per word, for all
   phrases together; only a phrase whose bit is set in every row can stand in the sentence.
2. Of the few that are left each is looked for in full, as a regular expression over the alphabet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_

from kb.patterns.phrases import ANYWHERE, STOP_STEMS, Chain, Element, Phrase
from kb.patterns.tokens import ByWord, stems

_ROWS = 3
# The alphabet begins here. Far from every character that means something in a regular expression, and long enough for
# 20,000 words before the surrogates.
_FIRST = 0x8000
_UNKNOWN = " "


class PhraseIndex:
    """An index of phrases by their number in the sequence. `watched` are further words that `standing` tells of."""

    def __init__(self, phrases: Sequence[Phrase], watched: Collection[str] = ()) -> None:
        words = {word for phrase in phrases for element in phrase.elements for run in element for word in run}
        letters = {word: chr(_FIRST + place) for place, word in enumerate(sorted(words.union(watched)))}
        self._count = len(phrases)
        self._searches = [re.compile(_pattern(phrase, letters), re.DOTALL).search for phrase in phrases]
        self._pieces: ByWord[str] = ByWord(lambda piece: "".join(letters.get(stem, _UNKNOWN) for stem in stems(piece)))
        self._fill(phrases, letters)
        self._watched_bit = 1 << (_ROWS * self._count)
        for word in watched:
            self._rows[letters[word]] = self._rows.get(letters[word], 0) | self._watched_bit

    def _fill(self, phrases: Sequence[Phrase], letters: dict[str, str]) -> None:
        shared = Counter(word for phrase in phrases for element in phrase.elements for run in element for word in run)
        self._rows: dict[str, int] = {_UNKNOWN: 0, **dict.fromkeys(letters.values(), 0)}
        # A phrase with fewer elements than rows has its bit set in the rows that it does not need.
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

    def standing(self, text: str) -> tuple[list[int], bool]:
        """The numbers of the phrases that stand in a sentence, in order, and whether it holds a watched word."""
        sentence = "".join(map(self._pieces.__getitem__, text.split()))
        rows = reduce(or_, map(self._rows.__getitem__, sentence), self._filled)
        count = self._count
        left = rows & (rows >> count) & (rows >> 2 * count) & self._lowest
        found = []
        while left:
            lowest = left & -left
            left ^= lowest
            number = lowest.bit_length() - 1
            if self._searches[number](sentence):
                found.append(number)
        return found, bool(rows & self._watched_bit)


def _keys(element: Element, shared: Counter[str]) -> set[str]:
    """A word of each alternative, without which it cannot stand there: of several the one that tells most."""
    return {min(run, key=lambda word: (word in STOP_STEMS, shared[word], word)) for run in element}


def _breadth(words: set[str], shared: Counter[str]) -> int:
    """How often one of the words is in a sentence, roughly. A stop word nearly always is."""
    return sum(1_000 if word in STOP_STEMS else shared[word] for word in words)


def _pattern(phrase: Phrase, letters: dict[str, str]) -> str:
    return "|".join(_chain(chain, letters) for chain in phrase.chains)


def _chain(chain: Chain, letters: dict[str, str]) -> str:
    out = [_element(chain.elements[0], letters)]
    for most, element in zip(chain.gaps, chain.elements[1:], strict=True):
        # As few words between as will do: the next element is near, if it is there.
        out += ["" if not most else ".*?" if most >= ANYWHERE else f".{{0,{most}}}?", _element(element, letters)]
    return "".join(out)


def _element(element: Element, letters: dict[str, str]) -> str:
    ways = ["".join(letters[word] for word in run) for run in sorted(element)]
    single = "".join(way for way in ways if len(way) == 1)
    longer = [way for way in ways if len(way) > 1]
    if not longer:
        return f"[{single}]"
    return f"(?:{'|'.join([*longer, f'[{single}]'] if single else longer)})"
