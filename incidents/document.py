"""The document of an incident: what revisions store, the API and pages show, and the JSON export writes.

`build` makes it from the rows. `read` returns a viewer's document: the working copy for those who can see it, otherwise
the latest revision with current values for what stays live after publishing. Anonymous viewers get no private fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects

from incidents import records, scopes
from incidents.durations import in_words, to_iso
from incidents.models import ActionItem, Incident, IncidentLink, Organization, Service
from incidents.scopes import Viewer
from incidents.template import section_plans

FORMAT = "precedent/1"

# Fields that stay live after publishing. They are the same in a working copy and its published revision.
LIVE_FIELDS = ("id", "ref", "external_id", "origin", "visibility", "team", "created_at")

_RELATED = ("organization", "team", "published_revision", "published_organization")


def with_all_parts(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """Many incidents with all rows of their documents, in a fixed number of queries."""
    return incidents.select_related(*_RELATED).prefetch_related(
        # Prefetched rather than joined: many incidents share one template, whose definition is then read once.
        "template",
        "published_services",
        *map(_prefetch, PARTS),
    )


def with_related(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """One incident with its related objects. `read` and `prefetch_parts` load its rows as they are needed."""
    return incidents.select_related(*_RELATED, "template")


def prefetch_parts(incident: Incident, *names: str) -> None:
    """Prefetch the services, sections and rows of a loaded incident, or only the named ones, for all later access.
    Parts that were loaded before are not queried again."""
    prefetch_related_objects([incident], *map(_prefetch, names or PARTS))


PARTS = ("services", "sections", *records.KINDS)


def _prefetch(name: str) -> Prefetch[str, Any, Any]:
    """The rows of a part, with the related objects that the document shows."""
    if name == "actions":
        return Prefetch(relation(name), ActionItem.objects.select_related("owner"))
    return Prefetch(relation(name) if name in records.KINDS else name)


def relation(kind_name: str) -> str:
    """The name of an incident's reverse relation to its rows of a kind."""
    return f"{records.KINDS[kind_name].model._meta.model_name}s"


def rows(incident: Incident, kind_name: str) -> list[dict[str, Any]]:
    kind = records.KINDS[kind_name]
    return [kind.write(row, incident.time_zone) for row in getattr(incident, relation(kind_name)).all()]


def moments(incident: Incident) -> dict[str, Any]:
    return {
        name: {"at": to_iso(moment, incident.time_zone), "precision": moment.precision.value} if moment else None
        for name, moment in incident.times.items()
    }


def facts(incident: Incident) -> dict[str, Any]:
    """The incident's own fields, which a reader sees before any prose."""
    duration = incident.duration
    return {
        "title": incident.title,
        "severity": incident.severity,
        "time_zone": incident.time_zone,
        **moments(incident),
        "planned_change": incident.planned_change,
        "duration": {
            "seconds": duration.seconds,
            "kind": duration.kind.value,
            "text": in_words(duration.seconds),
        }
        if duration
        else None,
        "stated_duration": {"seconds": incident.stated_seconds, "text": incident.stated_text}
        if incident.stated_seconds
        else None,
        "detected_by": incident.detected_by,
        "mitigations": incident.mitigations,
    }


def live_values(incident: Incident, organization: Organization, services: Iterable[Service]) -> dict[str, Any]:
    """The fields that stay live after publishing, so that their current values are always shown."""
    return {
        "id": str(incident.uuid),
        "ref": incident.ref,
        "external_id": incident.external_id,
        "origin": incident.origin,
        "visibility": incident.visibility,
        "organization": {
            "name": organization.name,
            "slug": organization.slug,
            "website": organization.website or None,
            "sector": organization.sector or None,
        },
        "team": {"name": incident.team.name, "slug": incident.team.slug} if incident.team else None,
        "services": [service.name for service in services],
        "created_at": incident.created_at.isoformat(),
    }


def sections(incident: Incident) -> list[dict[str, Any]]:
    """In the template's order."""
    by_key = {section.key: section for section in incident.sections.all()}
    return [
        {
            "id": str(by_key[planned.key].uuid),
            "key": planned.key,
            "title": planned.title,
            "kind": planned.kind.value,
            "body": by_key[planned.key].body,
            "none_reason": by_key[planned.key].none_reason,
        }
        for planned in section_plans(incident.template)
    ]


def build(incident: Incident) -> dict[str, Any]:
    """The working copy as a document. Links are not in it: they stay live after publishing and depend on the viewer."""
    return {
        "format": FORMAT,
        **live_values(incident, incident.organization, incident.services.all()),
        "status": incident.status,
        **facts(incident),
        "template": {"key": incident.template.key, "number": incident.template.number},
        "sections": sections(incident),
        **{name: rows(incident, name) for name in records.KINDS},
        "revision": None,
        "published_at": None,
    }


def published(incident: Incident) -> dict[str, Any]:
    """The latest revision with current values for what stays live: visibility, names, the progress of action items."""
    revision, organization = incident.published_revision, incident.published_organization
    if revision is None or organization is None:
        raise ValueError(f"{incident.ref} was never published")
    return {
        **revision.document,
        **live_values(incident, organization, incident.published_services.all()),
        "status": "archived" if incident.status == "archived" else "published",
        "actions": _with_progress(incident, revision.document["actions"]),
        "revision": revision.number,
        "published_at": revision.published_at.isoformat(),
    }


def _with_progress(incident: Incident, actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Published action items with their current progress."""
    names = [field.name for field in records.KINDS["actions"].fields if field.live]
    now = {row["id"]: row for row in rows(incident, "actions")}
    return [{**row, **{name: now[row["id"]][name] for name in names}} if row["id"] in now else row for row in actions]


def published_many(incidents: QuerySet[Incident]) -> dict[int, dict[str, Any]]:
    """{incident id: its `published` document}, without the incidents that were never published. Takes three queries and
    makes no model objects, so it is many times faster for callers that go through all incidents."""
    rows = incidents.filter(published_revision__isnull=False).order_by().values(*_PUBLISHED_COLUMNS)
    found = {row["pk"]: row for row in rows}
    services: dict[int, list[str]] = {}
    published = Service.objects.filter(published_incidents__in=list(found)).order_by("name")
    for pk, name in published.values_list("published_incidents", "name"):
        services.setdefault(pk, []).append(name)
    progress: dict[int, dict[str, dict[str, Any]]] = {}
    actions = ActionItem.objects.filter(incident__in=list(found)).order_by()
    for pk, uuid, state, owner, due, tracker_url, done_at in actions.values_list(
        "incident_id", "uuid", "state", "owner__email", "due", "tracker_url", "done_at"
    ):
        now = {
            "state": state,
            "owner": owner,
            "due": due.isoformat() if due else None,
            "tracker_url": tracker_url,
            "done_at": done_at.isoformat() if done_at else None,
        }
        progress.setdefault(pk, {})[str(uuid)] = now
    return {pk: _published(row, services.get(pk, []), progress.get(pk, {})) for pk, row in found.items()}


_PUBLISHED_COLUMNS = (
    *("pk", "uuid", "external_id", "origin", "visibility", "status", "created_at"),
    *(f"published_organization__{name}" for name in ("name", "slug", "website", "sector")),
    *("team__name", "team__slug"),
    *("published_revision__document", "published_revision__number", "published_revision__published_at"),
)


def _published(row: dict[str, Any], services: list[str], progress: dict[str, dict[str, Any]]) -> dict[str, Any]:
    document = row["published_revision__document"]
    return {
        **document,
        "id": str(row["uuid"]),
        "ref": f"INC-{row['pk']}",
        "external_id": row["external_id"],
        "origin": row["origin"],
        "visibility": row["visibility"],
        "organization": {
            "name": row["published_organization__name"],
            "slug": row["published_organization__slug"],
            "website": row["published_organization__website"] or None,
            "sector": row["published_organization__sector"] or None,
        },
        "team": {"name": row["team__name"], "slug": row["team__slug"]} if row["team__slug"] else None,
        "services": services,
        "created_at": row["created_at"].isoformat(),
        "status": "archived" if row["status"] == "archived" else "published",
        "actions": [{**action, **progress.get(action["id"], {})} for action in document["actions"]],
        "revision": row["published_revision__number"],
        "published_at": row["published_revision__published_at"].isoformat(),
    }


def redacted(document: dict[str, Any]) -> dict[str, Any]:
    """The document for anonymous viewers: no names of people or teams, no addresses, no links into private tools."""
    return {**document, "team": None, **{name: _without_private(name, document[name]) for name in records.KINDS}}


def _without_private(kind_name: str, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fields = records.KINDS[kind_name].fields
    private = {field.name: "" if field.shape == "string" else None for field in fields if field.private}
    return [{**row, **private} for row in shown] if private else shown


@dataclass(frozen=True, slots=True)
class Reading:
    """One incident as one viewer can read it."""

    incident: Incident
    document: dict[str, Any]
    is_working_copy: bool
    may_edit: bool
    may_lead: bool

    @property
    def is_reopened(self) -> bool:
        """Is this a draft while readers see a published revision?"""
        is_draft = self.is_working_copy and self.incident.status in scopes.UNPUBLISHED
        return is_draft and self.incident.published_revision_id is not None


def _revision(incident: Incident) -> dict[str, Any]:
    """The latest revision's number and time, as far as there is one."""
    revision = incident.published_revision
    return {"revision": revision.number, "published_at": revision.published_at.isoformat()} if revision else {}


def read(incident: Incident, viewer: Viewer) -> Reading:
    """Read the incident as this viewer.

    It must come from a queryset visible to the viewer, through `with_related` or `with_all_parts`.
    """
    is_working_copy = scopes.sees_working_copy(viewer, incident)
    if is_working_copy:
        prefetch_parts(incident)
        document = {**build(incident), **_revision(incident)}
    else:
        # Everything else is in the revision.
        prefetch_parts(incident, "published_services", "actions")
        document = published(incident)
    if not viewer.is_signed_in:
        document = redacted(document)
    return Reading(
        incident=incident,
        document={**document, "links": links(incident, viewer)},
        is_working_copy=is_working_copy,
        may_edit=scopes.may_edit(viewer, incident),
        may_lead=scopes.may_lead(viewer, incident),
    )


def read_part(incident: Incident, viewer: Viewer, name: str) -> list[dict[str, Any]]:
    """One list of the document that `read` returns (`sections`, `links` or a kind of rows), without loading the rest.

    The incident must come from a queryset visible to the viewer.
    """
    if name == "links":
        return links(incident, viewer)
    shown = (
        _working_part(incident, name) if scopes.sees_working_copy(viewer, incident) else _published_part(incident, name)
    )
    return shown if viewer.is_signed_in or name == "sections" else _without_private(name, shown)


def _working_part(incident: Incident, name: str) -> list[dict[str, Any]]:
    prefetch_parts(incident, name)
    return sections(incident) if name == "sections" else rows(incident, name)


def _published_part(incident: Incident, name: str) -> list[dict[str, Any]]:
    revision = incident.published_revision
    if revision is None:
        raise ValueError(f"{incident.ref} was never published")
    as_published: list[dict[str, Any]] = revision.document[name]
    if name != "actions":
        return as_published
    prefetch_parts(incident, name)
    return _with_progress(incident, as_published)


def links(incident: Incident, viewer: Viewer) -> list[dict[str, Any]]:
    """Links to and from incidents that the viewer can see. `direction` is "out" when this incident is the subject."""
    # Most incidents have no links, and loading the other ends costs more than this query.
    between = list(IncidentLink.objects.filter(Q(from_incident=incident) | Q(to_incident=incident)))
    if not between:
        return []
    others = {link.from_incident_id for link in between} | {link.to_incident_id for link in between}
    visible = scopes.visible_incidents(viewer).filter(pk__in=others - {incident.pk}).order_by()
    named = visible.select_related("organization", "published_organization", "published_revision")
    targets = {target.pk: target for target in named}
    out = [(link, link.to_incident_id, "out") for link in between if link.from_incident_id == incident.pk]
    into = [(link, link.from_incident_id, "in") for link in between if link.to_incident_id == incident.pk]
    return [
        {
            "id": str(link.uuid),
            "kind": link.kind,
            "direction": direction,
            "note": link.note,
            "incident": _linked(targets[other], viewer),
        }
        for link, other, direction in out + into
        if other in targets
    ]


def _linked(target: Incident, viewer: Viewer) -> dict[str, Any]:
    shows_draft = scopes.sees_working_copy(viewer, target)
    revision = target.published_revision
    organization = target.organization if shows_draft else target.published_organization
    return {
        "id": str(target.uuid),
        "ref": target.ref,
        "title": target.title if shows_draft or revision is None else revision.document["title"],
        "origin": target.origin,
        "external_id": target.external_id,
        "organization": (organization or target.organization).name,
    }
