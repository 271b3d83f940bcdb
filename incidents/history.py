"""What a viewer can see of an incident's history: its revisions, its reviews and its audit entries."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents import scopes
from incidents.models import AuditEntry, Incident, IncidentLink, ReviewRequest, Revision
from incidents.scopes import Viewer


def revisions(incident: Incident, viewer: Viewer) -> QuerySet[Revision]:
    """Newest first: all of them for viewers who see the working copy, only the published one for everyone else.

    Text that was removed must not stay readable in an older revision, nor reach people to whom that revision was never
    published.
    """
    found = incident.revisions.select_related("published_by")
    if scopes.sees_working_copy(viewer, incident):
        return found
    return found.filter(pk__in=[incident.published_revision_id])


def reviews(incident: Incident, viewer: Viewer) -> QuerySet[ReviewRequest]:
    """The requests of all rounds with the decisions, oldest first, only for viewers who see the working copy."""
    if not scopes.sees_working_copy(viewer, incident):
        return ReviewRequest.objects.none()
    return incident.reviews.select_related("reviewer", "asked_by")


def audit(incident: Incident, viewer: Viewer) -> QuerySet[AuditEntry]:
    """Newest first, only for viewers who see the working copy, and without links to incidents they cannot see."""
    if not scopes.sees_working_copy(viewer, incident):
        return AuditEntry.objects.none()
    entries = AuditEntry.objects.filter(incident=incident).select_related("actor")
    return entries.exclude(pk__in=_about_hidden_links(incident, viewer))


def _about_hidden_links(incident: Incident, viewer: Viewer) -> list[int]:
    """The ids of entries about links to incidents that the viewer cannot see, or whose other end is unknown."""
    kind = IncidentLink._meta.model_name or ""
    here = dict(AuditEntry.objects.filter(incident=incident, object_type=kind).values_list("pk", "object_id"))
    if not here:
        return []
    ends: dict[str, set[str]] = {}
    added = AuditEntry.objects.filter(object_type=kind, action="link.added", object_id__in=set(here.values()))
    for link_id, begins_at, change in added.values_list("object_id", "incident_id", "change"):
        ends[link_id] = {f"INC-{begins_at}", change["to"]}
    numbers = {int(ref[4:]) for refs in ends.values() for ref in refs if ref[4:].isdigit()}
    visible = scopes.visible_incidents(viewer).filter(pk__in=numbers).values_list("pk", flat=True)
    refs = {f"INC-{pk}" for pk in visible}
    return [pk for pk, link_id in here.items() if not (link_id in ends and ends[link_id] <= refs)]
