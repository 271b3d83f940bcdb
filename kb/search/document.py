"""The search document of an incident: what every engine indexes, built from the current state of the record.

It holds what readers see: the latest revision or, for an incident that was never published, its draft. The row and its
version are read before the relations, so a document is never older than the version it carries.
"""

from __future__ import annotations

from calendar import month_name
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from incidents import document as record
from incidents.durations import DurationKind, correct_zone, read_stored_moment
from incidents.markdown_export import amount
from incidents.models import Incident, ReviewRequest
from incidents.scopes import UNPUBLISHED
from incidents.vocabulary import ActionState
from kb.patterns.models import SHOWN, Tag, TagState
from kb.search.fields import fold_name

# How much a match weighs depends on the section it is in, from A (most) to D (least).
WEIGHTS = {"A": 8.0, "B": 4.0, "C": 2.0, "D": 1.0}
FIELD_WEIGHTS = {
    "title": "A",
    "ref": "A",
    "summary": "B",
    "causes": "B",
    "trigger": "B",
    "lessons": "C",
    "timeline": "C",
    "actions": "C",
    "organization": "D",
    "services": "D",
    "external_id": "D",
    "started": "D",
    "sources": "D",
    "customer_message": "D",
}
DEFAULT_WEIGHT = "C"
# The sections that characterize an incident, as opposed to what was said about it or who was involved.
DISTINCTIVE_SECTIONS = ("title", "summary", "causes", "trigger", "lessons", "detection", "mitigation", "surprises")

HOUR = 3600
DURATION_BUCKETS = (
    ("under-1h", 0, HOUR),
    ("1h-6h", HOUR, 6 * HOUR),
    ("6h-24h", 6 * HOUR, 24 * HOUR),
    ("over-24h", 24 * HOUR, None),
)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class IndexDocument:
    """One incident as engines index it.

    texts    {section: original text}, in reading order
    facets   {facet: values}; single-valued facets have exactly one value, "unknown" if there is no other
    access   who can find it, for engines that cannot consult the record itself
    shown    what a result displays
    values   what can be filtered on but is not counted as a facet: services, teams, what it `has`
    started_at: the instant; for a day, month or year, midnight UTC on its first day as published
    duration_counts: "about" durations are shown and sorted by, but are left out of statistics
    """

    incident_id: int
    index_version: int
    texts: dict[str, str]
    facets: dict[str, list[str]]
    access: dict[str, Any]
    shown: dict[str, Any]
    started_at: datetime | None
    duration_seconds: int | None
    duration_counts: bool
    values: dict[str, list[str]]


def build_many(incident_ids: Iterable[int]) -> dict[int, IndexDocument]:
    """Documents by incident id, in a fixed number of queries. Every incident that is not deleted has one; the search
    query decides who can find it."""
    alive = Incident.objects.filter(pk__in=list(incident_ids), deleted_at__isnull=True)
    values = alive.order_by().values_list(
        "pk", "index_version", "visibility", "team_id", "status", "published_revision"
    )
    rows = {row[0]: IncidentRow(*row[:5], is_published=row[5] is not None) for row in values}
    published = {pk for pk, row in rows.items() if row.is_published}
    contents = record.published_many(Incident.objects.filter(pk__in=published))
    if drafts := rows.keys() - published:
        for incident in record.with_all_parts(Incident.objects.filter(pk__in=drafts)):
            contents[incident.pk] = record.build(incident)
    reviewers = _reviewers(pk for pk, row in rows.items() if row.status in UNPUBLISHED)
    tags = _tags(contents)
    return {pk: build(rows[pk], content, tags.get(pk, []), reviewers.get(pk, [])) for pk, content in contents.items()}


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """What the incident's own row contributes to its document, in addition to the content."""

    pk: int
    index_version: int
    visibility: str
    team_id: int | None
    status: str
    is_published: bool


@dataclass(frozen=True, slots=True)
class Tagged:
    """A pattern that the incident is shown with, or that is only suggested for it."""

    slug: str
    family: str
    is_shown: bool


def _tags(incident_ids: Iterable[int]) -> dict[int, list[Tagged]]:
    found: dict[int, list[Tagged]] = {}
    rows = Tag.objects.filter(
        incident_id__in=list(incident_ids), state__in=[*SHOWN, TagState.SUGGESTED], pattern__status="active"
    ).order_by("pattern__slug")
    for pk, slug, family, state in rows.values_list("incident_id", "pattern__slug", "pattern__family", "state"):
        found.setdefault(pk, []).append(Tagged(slug, family, state in SHOWN))
    return found


def _reviewers(incident_ids: Iterable[int]) -> dict[int, list[int]]:
    """{incident_id: ids of the users with an open review request}."""
    found: dict[int, list[int]] = {}
    asked = ReviewRequest.objects.filter(incident_id__in=list(incident_ids), ended_at__isnull=True)
    for pk, reviewer in asked.order_by("reviewer_id").values_list("incident_id", "reviewer_id"):
        found.setdefault(pk, []).append(reviewer)
    return found


def build(row: IncidentRow, content: dict[str, Any], tags: list[Tagged], reviewers: list[int]) -> IndexDocument:
    """`content` is the incident's document as readers see it (incidents.document): the latest revision, or else the
    draft."""
    status = content["status"]
    patterns = [tag.slug for tag in tags if tag.is_shown]
    suggested = [tag.slug for tag in tags if not tag.is_shown]
    families = sorted(
        {cause["family"] for cause in content["causes"] if cause["family"]}
        | {tag.family for tag in tags if tag.is_shown}
    )
    moment = read_stored_moment(content["started"], zone=content["time_zone"])
    # A day, month or year is a date on the publisher's calendar: converting it to UTC must not make it the day before.
    started = correct_zone(moment, old=content["time_zone"], new="UTC").at if moment else None
    duration = content["duration"]
    seconds = duration["seconds"] if duration else None
    open_actions = [a for a in content["actions"] if a["state"] in (ActionState.OPEN, ActionState.IN_PROGRESS)]
    return IndexDocument(
        incident_id=row.pk,
        index_version=row.index_version,
        texts=texts(content),
        facets={
            "organization": [content["organization"]["name"]],
            "severity": [content["severity"] or UNKNOWN],
            "status": [status],
            "origin": [content["origin"]],
            "detected_by": [content["detected_by"] or UNKNOWN],
            # The year that readers see, which in the incident's time zone can differ from the one in UTC.
            "year": [content["started"]["at"][:4] if started else UNKNOWN],
            "duration": [duration_bucket(seconds)],
            "pattern": patterns,
            "family": families,
            "mitigation": content["mitigations"],
        },
        values={
            "service": [fold_name(name) for name in content["services"]],
            "organization": [fold_name(content["organization"]["name"]), content["organization"]["slug"]],
            "team": [content["team"]["slug"], fold_name(content["team"]["name"])] if content["team"] else [],
            "has": _has(content, patterns, row.is_published),
        },
        access={
            "visibility": row.visibility,
            "team_id": row.team_id,
            "published": row.is_published,
            "status": row.status,
            "reviewers": reviewers,
        },
        shown={
            "ref": content["ref"],
            "id": content["id"],
            "external_id": content["external_id"],
            "title": content["title"],
            "organization": content["organization"]["name"],
            "origin": content["origin"],
            "severity": content["severity"],
            "status": status,
            "visibility": content["visibility"],
            "started_at": started.isoformat() if started else None,
            "started_precision": content["started"]["precision"] if content["started"] else None,
            "duration_seconds": seconds,
            "duration_kind": duration["kind"] if duration else None,
            "patterns": patterns,
            "suggested_patterns": suggested,
            "families": families,
            "mitigations": content["mitigations"],
            "services": content["services"],
            "source_urls": [source["url"] for source in content["sources"]],
            "open_actions": len(open_actions),
            "due": sorted(a["due"] for a in open_actions if a["due"]),
            "section_titles": {section["key"]: section["title"] for section in content["sections"]},
        },
        started_at=started,
        duration_seconds=seconds,
        duration_counts=duration is not None and duration["kind"] != DurationKind.ABOUT,
    )


def texts(content: dict[str, Any]) -> dict[str, str]:
    """The searchable text by section, in reading order. The text of a section of records is that of its rows, one per
    paragraph. Records without a section of their own are part of the section they are shown in."""
    out = {"title": content["title"], "ref": content["ref"]}
    for section in content["sections"]:
        key = section["key"]
        if section["kind"] == "prose":
            out[key] = section["body"]
        elif key == "sources":
            out[key] = "\n\n".join(f"{row['title']} {row['publisher']}".strip() for row in content["sources"])
        else:
            out[key] = "\n\n".join(row["text"] for row in content[key])
    figures = [f"{row['label']}: {amount(row)}." for row in content["impact_figures"]]
    out["impact"] = "\n\n".join(filter(None, [out.get("impact", ""), *figures]))
    disagreements = [f"{row['about']}: {row['text']}" for row in content["disagreements"]]
    out["sources"] = "\n\n".join(filter(None, [out.get("sources", ""), *disagreements]))
    out["organization"] = content["organization"]["name"]
    out["services"] = ", ".join(content["services"])
    out["external_id"] = content["external_id"] or ""
    # A team's own section can have this key.
    start = _days(content["started"]["at"]) if content["started"] else []
    out["started"] = "\n\n".join(filter(None, [out.get("started", ""), *start]))
    return {key: text for key, text in out.items() if text}


def _days(at: str) -> list[str]:
    """The day, month or year of a moment as published and, for a time, the day in UTC, which filters and sorts go by,
    if that is another one."""
    in_utc = datetime.fromisoformat(at).astimezone(UTC).isoformat() if "T" in at else at
    return [_in_words(day) for day in dict.fromkeys([at[:10], in_utc[:10]])]


def _in_words(at: str) -> str:
    """A day, month or year as people write it: "4 October 2021 (2021-10-04)", "1996"."""
    year, *month_and_day = map(int, at.split("-"))
    if not month_and_day:
        return at
    month, *day = month_and_day
    return f"{' '.join([*map(str, day), month_name[month]])} {year} ({at})"


def duration_bucket(seconds: int | None) -> str:
    if seconds is None:
        return UNKNOWN
    return next(name for name, low, high in DURATION_BUCKETS if seconds >= low and (high is None or seconds < high))


def _has(content: dict[str, Any], patterns: list[str], is_published: bool) -> list[str]:
    open_actions = [a for a in content["actions"] if a["state"] in (ActionState.OPEN, ActionState.IN_PROGRESS)]
    prose = {section["key"] for section in content["sections"] if section["body"]}
    present = {
        "timeline": content["timeline"],
        "causes": content["causes"],
        "lessons": content["lessons"],
        "actions": content["actions"],
        "open-actions": open_actions,
        "sources": content["sources"],
        "revision": is_published,
        "customer-message": "customer_message" in prose,
        "patterns": patterns,
    }
    return [name for name, there in present.items() if there]
