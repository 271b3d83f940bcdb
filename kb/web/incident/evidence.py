"""The evidence of a pattern: its sentences as quotes, and as marks in the document that the viewer reads.

Evidence can come from another version of the text than the viewer's. A sentence that is not in the viewer's document is
never quoted; only its section is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kb.patterns.anchors import Anchor, find
from kb.web.marking import NAMES, Mark

TextRange = tuple[int, int]
Marks = Mapping[str, list[Mark]]


@dataclass(frozen=True, slots=True)
class Quote:
    """`text` is empty when the text has changed since. `mark` is the id of its mark in the text, or empty."""

    where: str
    text: str = ""
    is_markdown: bool = False
    mark: str = ""


def evidence(
    stored: Iterable[Mapping[str, Any]], fields: Mapping[str, str], titles: Mapping[str, str]
) -> tuple[list[Quote], Marks]:
    """The quotes in stored order, and the marks by field, for one document.

    `fields` are its texts by field path, `titles` the titles of its sections by key.
    """
    located = [(anchor, _range_of(anchor, fields)) for anchor in map(Anchor.read, stored)]
    ranges: dict[str, set[TextRange]] = {}
    for anchor, found in located:
        if found is not None:
            ranges.setdefault(anchor.field, set()).add(found)
    marks = _marks(ranges, fields)
    return [_quote(anchor, found, fields, titles, marks) for anchor, found in located], marks


def _range_of(anchor: Anchor, fields: Mapping[str, str]) -> TextRange | None:
    return find(anchor, fields[anchor.field]) if anchor.field in fields else None


def _marks(ranges: Mapping[str, set[TextRange]], fields: Iterable[str]) -> Marks:
    """Marks named in reading order. Overlapping ranges become one mark; when the names run out, marking stops."""
    names = iter(NAMES)
    marks: dict[str, list[Mark]] = {}
    for field in fields:
        drawn: list[Mark] = []
        for start, end in sorted(ranges.get(field, ())):
            if drawn and start < drawn[-1].end:
                drawn[-1] = Mark(drawn[-1].start, max(end, drawn[-1].end), drawn[-1].name)
            elif name := next(names, ""):
                drawn.append(Mark(start, end, name))
        if drawn:
            marks[field] = drawn
    return marks


def _quote(
    anchor: Anchor, found: TextRange | None, fields: Mapping[str, str], titles: Mapping[str, str], marks: Marks
) -> Quote:
    key = anchor.field.removeprefix("sections.").partition("/")[0]
    where = titles.get(key, key.replace("_", " ").capitalize())
    if found is None:
        return Quote(where)
    start, end = found
    drawn = (mark.name for mark in marks.get(anchor.field, ()) if mark.start <= start < mark.end)
    return Quote(where, fields[anchor.field][start:end], anchor.field != "title", next(drawn, ""))
