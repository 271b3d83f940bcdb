"""The differences between two texts, word by word, as data for a page. Pure, and bounded in time.

Texts are compared by line first, and by word inside the lines that differ. Parts too large to compare in reasonable
time, and all that is left once a page has taken its share, are shown as removed and added as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from enum import StrEnum

from incidents.text import SECTION_BYTES

# The largest product of both lengths to compare.
COMPARABLE = 400_000
# What comparing one part, and all texts of a page, can take, in pairs of equal words that difflib looks at: ten million
# take about a second. Rewriting three hundred words takes less than half a million; a few hundred characters of
# repeated punctuation would take thirty million.
MOST_FOR_PART = 2_000_000
MOST_FOR_PAGE = 10_000_000
# What each search for the longest common run takes besides, in the same unit.
_SEARCH = 100
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


class Mark(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Piece:
    mark: Mark
    text: str


class _TooMuch(Exception):
    """Comparing this part would take more than what is left."""


@dataclass(slots=True)
class Effort:
    """What comparing the texts of one page can still take. Counted and not timed, so that a page is always the same."""

    left: int = MOST_FOR_PAGE

    def spend(self, pairs: int) -> None:
        """Raises _TooMuch when not enough is left. What is left remains for parts that take less."""
        if pairs > self.left:
            raise _TooMuch
        self.left -= pairs


class _Matcher(SequenceMatcher[str]):
    """difflib's, which counts. Its time grows with the pairs of equal words and the searches, not with the lengths."""

    def __init__(self, old: list[str], new: list[str], effort: Effort) -> None:
        self._efforts = (Effort(MOST_FOR_PART), effort)
        self._old, self._times_in_new = old, Counter(new)
        super().__init__(None, old, new, autojunk=False)

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        pairs = _SEARCH + sum(1 + self._times_in_new[word] for word in self._old[alo:ahi])
        for effort in self._efforts:
            effort.spend(pairs)
        return super().find_longest_match(alo, ahi, blo, bhi)


def between(before: str, after: str, effort: Effort) -> list[Piece]:
    """The pieces of both texts in reading order: what stayed, what was removed, what was added.

    `effort` is shared by all texts of a page. A text longer than any that can be stored is not compared.
    """
    if max(len(before), len(after)) > SECTION_BYTES:
        return _joined(iter((Piece(Mark.REMOVED, before), Piece(Mark.ADDED, after))))
    return _joined(_lines(before.splitlines(keepends=True), after.splitlines(keepends=True), effort))


def side(pieces: Sequence[Piece], mark: Mark) -> list[Piece]:
    """One of the two texts: the pieces that stayed, and those only this side has."""
    return [piece for piece in pieces if piece.mark in (Mark.SAME, mark)]


def _lines(before: list[str], after: list[str], effort: Effort) -> Iterator[Piece]:
    for mark, old, new in _blocks(before, after, effort):
        if mark is Mark.SAME:
            yield Piece(Mark.SAME, "".join(old))
        else:
            yield from _words("".join(old), "".join(new), effort)


def _words(old: str, new: str, effort: Effort) -> Iterator[Piece]:
    """The differences by word, joined into phrases: a space common to both texts does not split a phrase."""
    removed, added = "", ""
    for mark, old_words, new_words in _blocks(_WORDS.findall(old), _WORDS.findall(new), effort):
        if mark is Mark.SAME and "".join(old_words).strip():
            yield from (Piece(Mark.REMOVED, removed), Piece(Mark.ADDED, added), Piece(Mark.SAME, "".join(old_words)))
            removed, added = "", ""
        else:
            removed, added = removed + "".join(old_words), added + "".join(new_words)
    yield from _without_common_ends(removed, added)


def _without_common_ends(removed: str, added: str) -> Iterator[Piece]:
    """The remaining pieces at the end. A final line break in both is not a difference."""
    tail = "\n" if removed.endswith("\n") and added.endswith("\n") else ""
    yield Piece(Mark.REMOVED, removed.removesuffix(tail) if tail else removed)
    yield Piece(Mark.ADDED, added.removesuffix(tail) if tail else added)
    yield Piece(Mark.SAME, tail)


def _blocks(a: list[str], b: list[str], effort: Effort) -> Iterator[tuple[Mark, list[str], list[str]]]:
    """Runs that are equal and runs that differ. The common beginning and end are split off first."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
        tail += 1
    yield Mark.SAME, a[:head], b[:head]
    old, new = a[head : len(a) - tail], b[head : len(b) - tail]
    for tag, i, j, k, m in _operations(old, new, effort):
        yield (Mark.SAME if tag == "equal" else Mark.REMOVED), old[i:j], new[k:m]
    yield Mark.SAME, a[len(a) - tail :], b[len(b) - tail :]


def _operations(old: list[str], new: list[str], effort: Effort) -> list[tuple[str, int, int, int, int]]:
    """difflib's operations that turn one into the other, or a single one where finding them takes too much."""
    if old and new and len(old) * len(new) <= COMPARABLE:
        with suppress(_TooMuch):
            return [*_Matcher(old, new, effort).get_opcodes()]
    return [("replace", 0, len(old), 0, len(new))]


def _joined(pieces: Iterator[Piece]) -> list[Piece]:
    """The pieces without empty ones, and with neighbors of the same kind joined."""
    out: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if out and out[-1].mark is piece.mark:
            out[-1] = Piece(piece.mark, out[-1].text + piece.text)
        else:
            out.append(piece)
    return out
