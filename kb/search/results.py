"""Turns an engine's hits into the results a viewer is shown, after checking each hit against the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from incidents import scopes
from incidents.scopes import Viewer
from incidents.wording import mid_sentence, with_noun
from kb.search import highlight
from kb.search.engine import Hit

SECTION_TITLES = {
    "title": "Title",
    "organization": "Organization",
    "services": "Services",
    "external_id": "Identifier",
    "timeline": "Timeline",
    "causes": "Causes",
    "lessons": "Lessons",
    "actions": "Action items",
    "sources": "Sources",
    "started": "Start",
}


@dataclass(frozen=True, slots=True)
class Highlight:
    """A fragment of a section; `html` is escaped text in which only <mark> is markup."""

    section: str
    section_title: str
    html: SafeString


@dataclass(frozen=True, slots=True)
class Result:
    ref: str
    id: str
    external_id: str | None
    title: str
    title_html: SafeString
    organization: str
    origin: str
    severity: str | None
    status: str
    visibility: str
    started_at: datetime | None
    started_precision: str | None
    duration_seconds: int | None
    duration_kind: str | None
    score: float
    highlights: list[Highlight]
    why: list[str]
    patterns: list[str]
    suggested_patterns: list[str]
    source_urls: list[str]
    open_actions: int
    overdue_actions: int


def visible_hits(hits: Iterable[Hit], viewer: Viewer) -> list[Hit]:
    """The hits that the viewer can see according to the record, whatever the engine believed. Makes one query."""
    hits = list(hits)
    allowed = set(
        scopes.visible_incidents(viewer).filter(pk__in=[hit.incident_id for hit in hits]).values_list("pk", flat=True)
    )
    return [hit for hit in hits if hit.incident_id in allowed]


def result(hit: Hit) -> Result:
    shown = hit.shown
    fragments = dict(hit.fragments)
    titles = {**SECTION_TITLES, **shown["section_titles"]}
    title = fragments.pop("title", None)
    fragments.pop("ref", None)
    today = timezone.now().date().isoformat()
    overdue = sum(day < today for day in shown["due"])
    return Result(
        **{
            name: shown[name]
            for name in (
                "ref",
                "id",
                "external_id",
                "title",
                "organization",
                "origin",
                "severity",
                "status",
                "visibility",
                "started_precision",
                "duration_seconds",
                "duration_kind",
                "patterns",
                "suggested_patterns",
                "source_urls",
                "open_actions",
            )
        },
        title_html=_html(title or shown["title"]),
        started_at=datetime.fromisoformat(shown["started_at"]) if shown["started_at"] else None,
        score=round(hit.score, 4),
        highlights=[
            Highlight(section, titles.get(section, section), _html(text)) for section, text in fragments.items()
        ],
        why=_why([name for name, _ in hit.fragments if name != "ref"], titles, shown, overdue),
        overdue_actions=overdue,
    )


def _html(text: str) -> SafeString:
    return mark_safe(highlight.to_html(text))  # noqa: S308  (the one function that escapes and then marks)


def _why(sections: list[str], titles: dict[str, str], shown: dict[str, Any], overdue: int) -> list[str]:
    """Reasons that a reader can verify: where the incident matched, and how many actions are open."""
    out = []
    if sections:
        names = [mid_sentence(titles.get(section, section)) for section in sections]
        # A title such as "Causes and contributing factors" brings its own "and".
        *first, last = names
        joint = ", " if any(" and " in name for name in names) else " and "
        out.append("matched in " + (f"{', '.join(first)}{joint}{last}" if first else last))
    if count := shown["open_actions"]:
        late = f", {overdue} overdue" if overdue else ""
        out.append(with_noun(count, "open action") + late)
    return out
