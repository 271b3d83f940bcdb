"""The data of an incident's page: one document, in the words and the order of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from incidents import scopes
from incidents.document import Reading
from incidents.durations import read_stored_moment
from incidents.models.incident import TIMES
from incidents.scopes import Viewer
from incidents.template import section_plans
from incidents.text import is_blank
from incidents.vocabulary import Origin, SectionKind, Status, Visibility
from kb.web.incident import records
from kb.web.incident.facts import Fact, Figure, facts, figures
from kb.web.incident.sources import ShownSource, sources
from kb.web.incident.spanbar import SpanBar, spanbar
from kb.web.incident.tags import Tags, Why, tags, why
from kb.web.times import FormattedMoment, format_moment, format_timestamp


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A section with content. `rows` holds its records as types of `records`; `none_reason` says why it has none."""

    key: str
    title: str
    body: str
    rows: list[Any]
    none_reason: str

    @property
    def field(self) -> str:
        """The field path by which evidence refers to the section's text."""
        return f"sections.{self.key}"


@dataclass(frozen=True, slots=True)
class EmptySection:
    """An empty section that the viewer can start to write."""

    key: str
    title: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Banner:
    """A notice above a document that not everyone can see, or that not everyone sees in this version."""

    title: str
    words: str


@dataclass(frozen=True, slots=True)
class Citation:
    words: str
    address: str
    source_url: str


@dataclass(frozen=True, slots=True)
class IncidentPage:
    reading: Reading
    document: Mapping[str, Any]
    date: FormattedMoment | None
    banner: Banner | None
    tags: Tags
    why: Why | None
    bar: SpanBar | None
    facts: list[Fact]
    figures: list[Figure]
    sections: list[ShownSection]
    empty_sections: list[EmptySection]
    sources: list[ShownSource]
    no_sources_reason: str
    disagreements: list[dict[str, str]]
    links: list[records.Link]
    citation: Citation

    @property
    def may_edit_now(self) -> bool:
        return self.reading.may_edit and self.reading.incident.status in scopes.UNPUBLISHED

    @property
    def is_in_review(self) -> bool:
        """Whether the viewer sees a review in progress. Readers of a published revision do not see the next review."""
        return self.reading.is_working_copy and self.reading.incident.status == Status.IN_REVIEW

    @property
    def may_reopen(self) -> bool:
        return self.reading.may_edit and self.reading.incident.status == Status.PUBLISHED


def incident_page(reading: Reading, viewer: Viewer, *, why_slug: str = "") -> IncidentPage:
    """The page for `viewer`. `why_slug` is the slug of the pattern whose evidence is marked in the text."""
    document = reading.document
    incident_tags = tags(reading.incident, document, viewer)
    zone = document["time_zone"]
    times = {name: read_stored_moment(document[name], zone=zone) for name in TIMES}
    date = format_moment(times["started"], zone=zone) if times["started"] else None
    by_key = {section["key"]: section for section in document["sections"]}
    return IncidentPage(
        reading=reading,
        document=document,
        date=date,
        banner=_banner(reading),
        tags=incident_tags,
        why=why(incident_tags, why_slug),
        bar=spanbar(times, zone=zone),
        facts=facts(document, times),
        figures=figures(document),
        sections=_sections(reading, viewer, date),
        empty_sections=_empty_sections(reading),
        sources=sources(document),
        no_sources_reason=by_key.get("sources", {}).get("none_reason", ""),
        disagreements=document["disagreements"],
        links=records.links(document["links"]),
        citation=_citation(document, date),
    )


def _sections(reading: Reading, viewer: Viewer, date: FormattedMoment | None) -> list[ShownSection]:
    """The sections with content, in template order. Sources are left out: they have their own place on the page."""
    document = reading.document
    shown = []
    for section in document["sections"]:
        key = section["key"]
        if key == "sources":
            continue
        rows = _rows(key, reading, viewer, date) if section["kind"] == SectionKind.RECORDS else []
        if rows or not is_blank(section["body"] + section["none_reason"]):
            shown.append(
                ShownSection(key, section["title"], section["body"], rows, "" if rows else section["none_reason"])
            )
    return shown


def _rows(key: str, reading: Reading, viewer: Viewer, date: FormattedMoment | None) -> list[Any]:
    document = reading.document
    match key:
        case "timeline":
            return records.timeline(document[key], zone=document["time_zone"], day_of_head=date.day if date else "")
        case "causes":
            return records.causes(document[key])
        case "actions":
            addresses = [row["owner"] for row in document[key] if row["owner"]]
            people = scopes.visible_people(viewer).filter(email__in=addresses) if addresses else []
            return records.actions(
                document[key],
                names={person.email: person.name for person in people},
                today=timezone.localdate(),
                shows_unowned=viewer.is_signed_in and document["origin"] != Origin.FAMOUS,
            )
        case "lessons":
            return records.lessons(document[key])
        case _:
            return []


def _empty_sections(reading: Reading) -> list[EmptySection]:
    """The sections that are still empty, if the viewer can edit them now."""
    if not reading.may_edit or reading.incident.status not in scopes.UNPUBLISHED:
        return []
    written = {
        section["key"]
        for section in reading.document["sections"]
        if not is_blank(section["body"] + section["none_reason"]) or reading.document.get(section["key"])
    }
    return [
        EmptySection(planned.key, planned.title, planned.required)
        for planned in section_plans(reading.incident.template)
        if planned.key not in written
    ]


def _banner(reading: Reading) -> Banner | None:
    incident, document = reading.incident, reading.document
    if document["status"] == Status.ARCHIVED:
        return Banner("Archived", "Hidden from lists and searches unless you filter for archived incidents.")
    if not reading.is_working_copy or incident.status not in scopes.UNPUBLISHED:
        return None
    title = Status(incident.status).label
    if revision := incident.published_revision:
        published = format_timestamp(revision.published_at)
        return Banner(
            title, f"This is the working copy. Readers see revision {revision.number}, published {published.day}."
        )
    team = document["team"]
    who = f"the team {document['team']['name']}, the reviewers and admins" if team else "the reviewers and admins"
    return Banner(title, f"Only {who} can see this until it is published. {_later_audience(incident.visibility)}")


def _later_audience(visibility: str) -> str:
    match visibility:
        case Visibility.PUBLIC:
            return "After that everyone can, signed in or not."
        case Visibility.INTERNAL:
            return "After that everyone who is signed in can."
        case _:
            return "After that only the team and admins can."


def _citation(document: Mapping[str, Any], date: FormattedMoment | None) -> Citation:
    """A citation with organization, title, date, address and first source, in the usual order of references."""
    source_url = next((row["url"] for row in document["sources"] if row["primary"]), "")
    source_url = source_url or next((row["url"] for row in document["sources"]), "")
    when = f" {date.day}." if date else ""
    return Citation(
        words=f"{document['organization']['name']}. “{document['title']}”.{when} Precedent, {document['ref']}.",
        address=settings.BASE_URL + reverse("web:incident", args=[document["ref"]]),
        source_url=source_url,
    )
