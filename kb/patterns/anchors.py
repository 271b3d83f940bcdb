"""Anchors: positions in an incident's text that can be found again after the text around them changes.

Offsets count code points of the stored Markdown source, not bytes and not UTF-16 units. In a text that has changed, an
anchor is never drawn at its old position: it is located again by its quote, or not drawn at all.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

# The kinds of records whose texts an anchor can point into.
ANCHORED_KINDS = ("timeline", "causes", "lessons", "actions")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A quote at code points `start` to `end` of a field.

    `field` is a path: title, sections.summary, causes/<row id>. `hash` is the SHA-256 of the field's whole text.
    """

    field: str
    hash: str
    start: int
    end: int
    quote: str

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Anchor:
        """Read an anchor from the form in which tags store it."""
        return cls(stored["field"], stored["hash"], stored["start"], stored["end"], stored["quote"])

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make(field: str, text: str, quote: str) -> Anchor:
    """Anchor a quote at its first occurrence in a field's text. Whitespace may differ.

    Raises ValueError if the text does not contain the quote.
    """
    found = _places(text, quote)
    if not found:
        raise ValueError(f"{field} does not contain: {quote}")
    start, end = found[0]
    return Anchor(field, hash_of(text), start, end, text[start:end])


def find(anchor: Anchor, text: str) -> tuple[int, int] | None:
    """The anchor's (start, end) in the field's current text, or None.

    In an unchanged text this is its stored position. In a changed text its quote must occur exactly once.
    """
    if hash_of(text) == anchor.hash:
        return anchor.start, anchor.end
    found = _places(text, anchor.quote)
    return found[0] if len(found) == 1 else None


def texts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The (field path, text) pairs of an incident's document that anchors can point into, in reading order."""
    yield "title", document["title"]
    for section in document["sections"]:
        if section["kind"] == "prose":
            if section["body"]:
                yield f"sections.{section['key']}", section["body"]
        elif section["key"] in ANCHORED_KINDS:
            for row in document[section["key"]]:
                yield f"{section['key']}/{row['id']}", row["text"]


def _places(text: str, quote: str) -> list[tuple[int, int]]:
    words = quote.split()
    # A cheap early exit: most texts do not contain the quote, and usually not even its first word.
    if not words or words[0] not in text:
        return []
    wanted, found, at = " ".join(words), [], 0
    # Normalizing both sides to single spaces allows a plain substring search, which no input can make slow.
    pieces = [match.span() for match in re.finditer(r"\S+", text)]
    plain = " ".join(text[start:end] for start, end in pieces)
    starts = list(accumulate((end - start + 1 for start, end in pieces), initial=0))

    def place(offset: int) -> int:
        piece = bisect_right(starts, offset) - 1
        return pieces[piece][0] + offset - starts[piece]

    while (at := plain.find(wanted, at)) >= 0:
        found.append((place(at), place(at + len(wanted) - 1) + 1))
        at += len(wanted)
    return found


def relocate(evidence: Iterable[Mapping[str, Any]], document: Mapping[str, Any]) -> list[Anchor]:
    """The stored anchors at their current positions in this document.

    Anchors that cannot be located are dropped, so readers are never shown a quote that their own document lacks.
    """
    fields = dict(texts(document))
    found = []
    for anchor in map(Anchor.read, evidence):
        text = fields.get(anchor.field)
        place = find(anchor, text) if text is not None else None
        if text is not None and place is not None:
            found.append(Anchor(anchor.field, hash_of(text), *place, text[place[0] : place[1]]))
    return found
