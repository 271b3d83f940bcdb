"""Incidents as the API shows them: the document that the viewer can see, with URLs, patterns and versions added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from incidents import scopes
from incidents.document import Reading, facts, read_part, relation
from incidents.models import Incident, IncidentLink, Organization, Team
from incidents.records import KINDS
from incidents.scopes import Viewer
from incidents.vocabulary import Status
from kb.api import etags
from kb.api.base import ApiView
from kb.patterns.models import SHOWN, PatternStatus, Tag, TagState


def tags_of(incident_ids: Iterable[int]) -> dict[int, tuple[list[str], list[str]]]:
    """{incident_id: (patterns, suggested patterns)}, each a sorted list of slugs."""
    out: dict[int, tuple[list[str], list[str]]] = {pk: ([], []) for pk in incident_ids}
    tags = Tag.objects.filter(
        incident_id__in=list(out), state__in=[*SHOWN, TagState.SUGGESTED], pattern__status=PatternStatus.ACTIVE
    ).order_by("pattern__slug")
    for incident_id, slug, state in tags.values_list("incident_id", "pattern__slug", "state"):
        out[incident_id][state == TagState.SUGGESTED].append(slug)
    return out


def document(view: ApiView, reading: Reading) -> dict[str, Any]:
    """The whole incident. For viewers of the working copy, sections, rows and links carry their versions."""
    incident, shown = reading.incident, reading.document
    patterns, suggested = tags_of([incident.pk])[incident.pk]
    versions = _Versions.of(reading)
    return {
        **shown,
        "sections": versions.sections(shown["sections"]),
        **{name: versions.rows(name, shown[name]) for name in KINDS},
        "links": versions.links(shown["links"]),
        "url": view.address("incident", ref=incident.ref),
        "patterns": patterns,
        "suggested_patterns": suggested,
        "version": incident.version if reading.is_working_copy else None,
    }


def etag(reading: Reading, body: Any) -> str:
    """The ETag of a response with the whole incident."""
    return etags.of_version(reading.incident.version) if reading.is_working_copy else etags.of_content(body)


def part_etag(body: dict[str, Any]) -> str:
    """The ETag of a section, row or link: its version for viewers of the working copy, else a digest of the content."""
    return etags.of_version(body["version"]) if "version" in body else etags.of_content(body)


def part(viewer: Viewer, incident: Incident, name: str) -> list[dict[str, Any]]:
    """One list of a visible incident as the viewer reads it: `sections`, `links` or a kind of rows."""
    shown = read_part(incident, viewer, name)
    versions = _Versions(incident if scopes.sees_working_copy(viewer, incident) else None)
    match name:
        case "sections":
            return versions.sections(shown)
        case "links":
            return versions.links(shown)
        case kind:
            return versions.rows(kind, shown)


class _Versions:
    """Adds the current version to each part of a working copy. Leaves the parts of a published revision as they are."""

    def __init__(self, incident: Incident | None) -> None:
        self.incident = incident

    @classmethod
    def of(cls, reading: Reading) -> _Versions:
        return cls(reading.incident if reading.is_working_copy else None)

    def sections(self, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.incident is None:
            return shown
        versions = {section.key: section.version for section in self.incident.sections.all()}
        return [{**section, "version": versions[section["key"]]} for section in shown]

    def rows(self, kind: str, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.incident is None:
            return shown
        versions = {str(row.uuid): row.version for row in getattr(self.incident, relation(kind)).all()}
        return [{**row, "version": versions[row["id"]]} for row in shown]

    def links(self, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.incident is None or not shown:
            return shown
        own = IncidentLink.objects.filter(Q(from_incident=self.incident) | Q(to_incident=self.incident))
        versions = {str(link_id): version for link_id, version in own.values_list("uuid", "version")}
        return [{**link, "version": versions[link["id"]]} for link in shown if link["id"] in versions]


def summary(
    view: ApiView,
    incident: Incident,
    *,
    viewer: Viewer,
    published: dict[str, Any] | None,
    tags: tuple[list[str], list[str]],
) -> dict[str, Any]:
    """One entry of a list. `published` holds the facts of the revision if the viewer sees that instead."""
    shown = published or facts(incident)
    organization = incident.published_organization if published else None
    services = incident.published_services if published else incident.services
    team = incident.team if viewer.is_signed_in else None
    revision = incident.published_revision
    return {
        "id": str(incident.uuid),
        "ref": incident.ref,
        "url": view.address("incident", ref=incident.ref),
        "external_id": incident.external_id,
        "origin": incident.origin,
        "visibility": incident.visibility,
        "title": shown["title"],
        "status": Status.PUBLISHED.value if published else incident.status,
        "severity": shown["severity"],
        "organization": name_and_slug(organization or incident.organization),
        "team": name_and_slug(team),
        "services": [service.name for service in services.all()],
        "started": shown["started"],
        "duration": shown["duration"],
        "detected_by": shown["detected_by"],
        "revision": revision.number if revision else None,
        "published_at": revision.published_at.isoformat() if revision else None,
        "created_at": incident.created_at.isoformat(),
        "patterns": tags[0],
        "suggested_patterns": tags[1],
        "version": incident.version if scopes.sees_working_copy(viewer, incident) else None,
    }


def name_and_slug(thing: Organization | Team | None) -> dict[str, str] | None:
    return {"name": thing.name, "slug": thing.slug} if thing else None
