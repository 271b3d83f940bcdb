"""The changes between two revisions: facts, texts word by word, and rows added, removed or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from incidents.records import KINDS
from incidents.vocabulary import DetectedBy, Mitigation, Severity, Visibility
from kb.web.writing import differences, record_inputs
from kb.web.writing.differences import Piece

Document = Mapping[str, Any]

FACTS = {
    "title": "Title",
    "severity": "Severity",
    "organization": "Organization",
    "services": "Services",
    "team": "Owning team",
    "visibility": "Who can read it",
    "started": "Impact started",
    "detected": "Detected",
    "mitigated": "Mitigated",
    "resolved": "Resolved",
    "time_zone": "Time zone",
    "stated_duration": "Stated duration",
    "planned_change": "Planned change",
    "detected_by": "Detected by",
    "mitigations": "Mitigated by",
}
KIND_TITLES = {
    "timeline": "Timeline",
    "causes": "Causes",
    "lessons": "Lessons",
    "actions": "Action items",
    "impact_figures": "Impact figures",
    "sources": "Sources",
    "disagreements": "Where sources differ",
}


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FactChange:
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TextChange:
    title: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class RowChange:
    """`fields` are pairs of label and pieces: of a changed row those that differ, of an added or removed row all."""

    kind: ChangeKind
    fields: list[tuple[str, list[Piece]]]


@dataclass(frozen=True, slots=True)
class RowChanges:
    title: str
    rows: list[RowChange]


@dataclass(frozen=True, slots=True)
class Changes:
    facts: list[FactChange]
    texts: list[TextChange]
    rows: list[RowChanges]

    def __bool__(self) -> bool:
        return bool(self.facts or self.texts or self.rows)


def between(before: Document, after: Document) -> Changes:
    """The changes between two documents as revisions store them. A missing field counts as empty."""
    return Changes(
        facts=[
            FactChange(label, old, new)
            for name, label in FACTS.items()
            if (old := _fact_in_words(name, before.get(name))) != (new := _fact_in_words(name, after.get(name)))
            and not _is_same_moment(before.get(name), after.get(name))
        ],
        texts=_texts(before, after),
        rows=[RowChanges(KIND_TITLES[kind], rows) for kind in KINDS if (rows := _rows(kind, before, after))],
    )


def _is_same_moment(old: Any, new: Any) -> bool:
    """Whether both values are the same instant, possibly written in different zones."""
    match old, new:
        case {"at": old_at, "precision": old_precision}, {"at": new_at, "precision": new_precision}:
            return bool(old_precision == new_precision and _is_same_moment(old_at, new_at))
        case str(), str():
            try:
                return datetime.fromisoformat(old) == datetime.fromisoformat(new)
            except ValueError:
                return False
        case _:
            return False


def _fact_in_words(name: str, value: Any) -> str:
    match name, value:
        case _, None | "" | []:
            return ""
        case "planned_change", bool():
            return "yes" if value else "no"
        case "severity", str():
            return _label(Severity, value)
        case "visibility", str():
            return _label(Visibility, value)
        case "detected_by", str():
            return _label(DetectedBy, value)
        case "mitigations", list():
            return ", ".join(_label(Mitigation, item) for item in value)
        case _, {"at": at, "precision": precision}:
            return f"{str(at).replace('T', ' ')}, known to the {precision}"
        case _, {"name": named}:
            return str(named)
        case _, {"seconds": seconds, "text": text}:
            return str(text or f"{seconds} s")
        case _, list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _label(words: Any, value: str) -> str:
    return str(words(value).label) if value in words.values else value


def _texts(before: Document, after: Document) -> list[TextChange]:
    old = {section["key"]: section for section in before.get("sections", [])}
    new = {section["key"]: section for section in after.get("sections", [])}
    changes = []
    for key in dict.fromkeys((*new, *old)):
        texts = [_text(side.get(key, {})) for side in (old, new)]
        if texts[0] != texts[1]:
            title = (new.get(key) or old[key])["title"]
            changes.append(TextChange(title, differences.between(*texts)))
    return changes


def _text(section: Mapping[str, Any]) -> str:
    reason = section.get("none_reason") or ""
    return "\n\n".join(
        part for part in (section.get("body") or "", f"None, because {reason}" if reason else "") if part
    )


def _rows(kind: str, before: Document, after: Document) -> list[RowChange]:
    old = {row["id"]: row for row in before.get(kind, [])}
    new = {row["id"]: row for row in after.get(kind, [])}
    changes = []
    for row_id in dict.fromkeys((*new, *old)):
        if fields := _fields(kind, old.get(row_id, {}), new.get(row_id, {})):
            change = (
                ChangeKind.ADDED
                if row_id not in old
                else ChangeKind.REMOVED
                if row_id not in new
                else ChangeKind.CHANGED
            )
            changes.append(RowChange(change, fields))
    return changes


def _fields(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, list[Piece]]]:
    fields = []
    for name in record_inputs.names(kind):
        before, after = (_cell(kind, name, side.get(name)) for side in (old, new))
        if before == after or (name == "at" and _is_same_moment(old.get(name), new.get(name))):
            continue
        # A time is compared as a whole, because marked digits inside it would mean nothing.
        pieces = differences.replaced(before, after) if name == "at" else differences.between(before, after)
        fields.append((record_inputs.label(kind, name), pieces))
    return fields


def _cell(kind: str, name: str, value: Any) -> str:
    if value in (None, "", [], False):
        return ""
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "precision":
        return "" if value != "hour" else "to the hour"
    return record_inputs.in_words(kind, name, str(value).replace("T", " ") if name == "at" else str(value))
