"""The changes between two revisions: facts, texts word by word, and rows added, removed or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from incidents.durations import format_exactly, read_stored_moment
from incidents.models.incident import TIMES
from incidents.records import KINDS
from incidents.vocabulary import DetectedBy, Mitigation, Severity, Visibility
from kb.web.times import FormattedMoment, format_moment, partial_date_words
from kb.web.writing import differences, record_inputs, stated_durations
from kb.web.writing.differences import Effort, Piece
from kb.web.writing.inputs import Input, Shape

Document = Mapping[str, Any]
# A value in words. A moment comes with its time in UTC.
Shown = str | FormattedMoment

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
class ValueChange:
    """A change of something that is read as a unit, such as a time or a choice. Empty where there was nothing."""

    label: str
    before: Shown
    after: Shown


@dataclass(frozen=True, slots=True)
class TextChange:
    label: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class RowChange:
    """`fields` are those that differ of a changed row, and all of an added or removed one. `name` is the text that
    tells a changed row from others, or empty when it is among the fields."""

    kind: ChangeKind
    fields: list[ValueChange | TextChange]
    name: str = ""


@dataclass(frozen=True, slots=True)
class RowChanges:
    title: str
    rows: list[RowChange]


@dataclass(frozen=True, slots=True)
class Changes:
    facts: list[ValueChange]
    texts: list[TextChange]
    rows: list[RowChanges]

    def __bool__(self) -> bool:
        return bool(self.facts or self.texts or self.rows)


def between(before: Document, after: Document) -> Changes:
    """The changes between two documents as revisions store them. A missing field counts as empty."""
    effort = Effort()
    facts = (_fact(name, label, before, after) for name, label in FACTS.items())
    return Changes(
        facts=[fact for fact in facts if fact],
        texts=_texts(before, after, effort),
        rows=[RowChanges(KIND_TITLES[kind], rows) for kind in KINDS if (rows := _rows(kind, before, after, effort))],
    )


def _fact(name: str, label: str, before: Document, after: Document) -> ValueChange | None:
    old, new = before.get(name), after.get(name)
    if name in TIMES:
        return _moment_change(label, old, new, before, after)
    words = _fact_in_words(name, old), _fact_in_words(name, new)
    return ValueChange(label, *words) if words[0] != words[1] else None


def _moment_change(label: str, old: Any, new: Any, before: Document, after: Document) -> ValueChange | None:
    """The change from one moment to another, each as its document stores it; None if they are the same."""
    # Their words do not tell: a clock that is set back shows the same time twice.
    if (old or None) == (new or None) or _is_same_moment(old, new):
        return None
    return ValueChange(label, _moment_in_words(old, before), _moment_in_words(new, after))


def _moment_in_words(value: Any, document: Document) -> Shown:
    zone = document.get("time_zone") or "UTC"
    moment = read_stored_moment(value, zone=zone)
    return format_moment(moment, zone=zone) if moment else ""


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
        case _, {"name": named}:
            return str(named)
        case _, {"seconds": int(seconds), "text": text}:
            return stated_durations.in_words(format_exactly(seconds), text or "")
        case _, list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _label(words: Any, value: str) -> str:
    return str(words(value).label) if value in words.values else value


def _texts(before: Document, after: Document, effort: Effort) -> list[TextChange]:
    old = {section["key"]: section for section in before.get("sections", [])}
    new = {section["key"]: section for section in after.get("sections", [])}
    changes = []
    for key in dict.fromkeys((*new, *old)):
        earlier, later = (_text(side.get(key, {})) for side in (old, new))
        if earlier != later:
            title = (new.get(key) or old[key])["title"]
            changes.append(TextChange(title, differences.between(earlier, later, effort)))
    return changes


def _text(section: Mapping[str, Any]) -> str:
    reason = section.get("none_reason") or ""
    return "\n\n".join(
        part for part in (section.get("body") or "", f"None, because {reason}" if reason else "") if part
    )


def _rows(kind: str, before: Document, after: Document, effort: Effort) -> list[RowChange]:
    old = {row["id"]: row for row in before.get(kind, [])}
    new = {row["id"]: row for row in after.get(kind, [])}
    changes = []
    for row_id in dict.fromkeys((*new, *old)):
        was, now = old.get(row_id, {}), new.get(row_id, {})
        if fields := _fields(kind, was, now, before, after, effort):
            change = ChangeKind.CHANGED if was and now else ChangeKind.ADDED if now else ChangeKind.REMOVED
            name = _name(now)
            changes.append(RowChange(change, fields, name if name == _name(was) else ""))
    return changes


def _name(row: Mapping[str, Any]) -> str:
    """The text that tells a row from the others of its kind."""
    return str(row.get("text") or row.get("title") or row.get("label") or "")


def _fields(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any], before: Document, after: Document, effort: Effort
) -> list[ValueChange | TextChange]:
    fields: list[ValueChange | TextChange] = []
    for input in record_inputs.INPUTS[kind]:
        if input.name == "at":
            change = _moment_change(input.label, _moment_of(old), _moment_of(new), before, after)
            fields += [change] if change else []
            continue
        was, now = (_cell(kind, input, side.get(input.name)) for side in (old, new))
        # The precision shows in the words of the time.
        if was == now or input.name == "precision":
            continue
        if input.shape in (Shape.TEXT, Shape.LINE):
            fields.append(TextChange(input.label, differences.between(was, now, effort)))
        else:
            fields.append(ValueChange(input.label, was, now))
    return fields


def _moment_of(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {"at": row["at"], "precision": row.get("precision")} if row.get("at") else None


def _cell(kind: str, input: Input, value: Any) -> str:
    if value in (None, "", [], False):
        return ""
    if isinstance(value, bool):
        return "yes"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if input.shape is Shape.DAY:
        return partial_date_words(str(value))
    return record_inputs.in_words(kind, input.name, str(value))
