"""The differences between two texts, word by word, as data for a page. Pure, and bounded in time.

Texts are compared by line first, and by word inside the lines that differ. Parts too large to compare in reasonable
time are shown as removed and added as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

# The largest product of both lengths to compare. difflib's time grows with it; this takes some tens of milliseconds.
COMPARABLE = 400_000
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


class Mark(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Piece:
    mark: Mark
    text: str


def between(before: str, after: str) -> list[Piece]:
    """The pieces of both texts in reading order: what stayed, what was removed, what was added."""
    return _joined(_lines(before.splitlines(keepends=True), after.splitlines(keepends=True)))


def side(pieces: Sequence[Piece], mark: Mark) -> list[Piece]:
    """One of the two texts: the pieces that stayed, and those only this side has."""
    return [piece for piece in pieces if piece.mark in (Mark.SAME, mark)]


def _lines(before: list[str], after: list[str]) -> Iterator[Piece]:
    for mark, old, new in _blocks(before, after):
        if mark is Mark.SAME:
            yield Piece(Mark.SAME, "".join(old))
        else:
            yield from _words("".join(old), "".join(new))


def _words(old: str, new: str) -> Iterator[Piece]:
    """The differences by word, joined into phrases: a space common to both texts does not split a phrase."""
    removed, added = "", ""
    for mark, old_words, new_words in _blocks(_WORDS.findall(old), _WORDS.findall(new)):
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


def _blocks(a: list[str], b: list[str]) -> Iterator[tuple[Mark, list[str], list[str]]]:
    """Runs that are equal and runs that differ. The common beginning and end are split off first."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
        tail += 1
    yield Mark.SAME, a[:head], b[:head]
    old, new = a[head : len(a) - tail], b[head : len(b) - tail]
    if not old or not new or len(old) * len(new) > COMPARABLE:
        yield Mark.REMOVED, old, new
    else:
        for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            yield (Mark.SAME if tag == "equal" else Mark.REMOVED), old[i:j], new[k:m]
    yield Mark.SAME, a[len(a) - tail :], b[len(b) - tail :]


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
