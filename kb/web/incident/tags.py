"""The patterns of an incident, each with its answer to "why?": who says so, and the sentences that show it.

Evidence was found in some text at some time. What the reader of this document does not see is not quoted to them: of a
quote that does not stand in its field only the place is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns.models import SHOWN, PatternStatus, Tag, TagSource, TagState

_SAID_BY = {
    TagSource.RULE: "found by its rule",
    TagSource.MODEL: "found by a language model",
    TagSource.CURATOR: "set by those who curate public outages",
    TagSource.PERSON: "set by a person",
}


@dataclass(frozen=True, slots=True)
class Quote:
    """`text` is empty when the text has changed since."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownTag:
    slug: str
    name: str
    is_suggested: bool
    said_by: str
    counts: str
    quotes: list[Quote]


def shown_tags(incident: Incident, document: Mapping[str, Any], viewer: Viewer) -> list[ShownTag]:
    """Those in force first, then those only suggested."""
    tags = (
        Tag.objects.filter(incident=incident, state__in=[*SHOWN, TagState.SUGGESTED])
        .exclude(pattern__status=PatternStatus.RETIRED)
        .select_related("pattern", "decided_by")
    )
    titles = {section["key"]: section["title"] for section in document["sections"]}
    shown = [
        ShownTag(
            slug=tag.pattern.slug,
            name=tag.pattern.name,
            is_suggested=tag.state == TagState.SUGGESTED,
            said_by=_said_by(tag, viewer),
            counts=tag.pattern.counts,
            quotes=[_quote(document, titles, anchor) for anchor in tag.evidence],
        )
        for tag in tags
    ]
    return sorted(shown, key=lambda tag: tag.is_suggested)


def _said_by(tag: Tag, viewer: Viewer) -> str:
    words = _SAID_BY[TagSource(tag.source)]
    if tag.state == TagState.SUGGESTED:
        return f"suggested, {words}; nobody has confirmed it yet"
    if tag.state == TagState.CONFIRMED and tag.decided_by and viewer.is_signed_in:
        return f"{words}, confirmed by {tag.decided_by.name}"
    return words


def _quote(document: Mapping[str, Any], titles: Mapping[str, str], anchor: Mapping[str, Any]) -> Quote:
    field, quote = str(anchor.get("field", "")), str(anchor.get("quote", ""))
    key = field.removeprefix("sections.").partition("/")[0]
    where = titles.get(key, key.replace("_", " ").capitalize())
    return Quote(where, quote if quote and quote in text_at(document, field) else "")


def text_at(document: Mapping[str, Any], field: str) -> str:
    """The text of a field path in a document: title, sections.<key>, or <kind>/<row id>. Empty when there is none."""
    if field == "title":
        return str(document["title"])
    if field.startswith("sections."):
        key = field.removeprefix("sections.")
        return next((section["body"] for section in document["sections"] if section["key"] == key), "")
    kind, _, row_id = field.partition("/")
    rows = document.get(kind)
    if not row_id or not isinstance(rows, list):
        return ""
    return next((str(row.get("text", "")) for row in rows if row.get("id") == row_id), "")
