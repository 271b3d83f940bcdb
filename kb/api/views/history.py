"""What became of an incident: its revisions, who did what, and the whole of it to take away."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import export, scopes
from incidents.document import redacted
from incidents.errors import Missing
from incidents.models import AuditEntry, Incident, IncidentLink, Revision
from incidents.scopes import Viewer
from kb.api import documents, etags, parameters
from kb.api.base import answer, page
from kb.api.operations import reads
from kb.api.pagination import Order, paginate
from kb.api.parameters import PAGING
from kb.api.views.incidents import IncidentView

FORMAT = parameters.one_of("format", ("markdown", "json"), "json unless named, or as Accept says.")


class RevisionView(IncidentView):
    def revisions(self, incident: Incident) -> QuerySet[Revision]:
        """All of them for those who see the working copy. For everybody else the one that is published: what left the
        text must not be read in an older one, nor by people it was not published for then."""
        revisions = incident.revisions.select_related("published_by")
        if scopes.sees_working_copy(self.viewer, incident):
            return revisions
        return revisions.filter(pk__in=[incident.published_revision_id])

    def line(self, incident: Incident, revision: Revision) -> dict[str, Any]:
        return {
            "number": revision.number,
            "url": self.address("incident-revision", ref=incident.ref, number=revision.number),
            "published_at": revision.published_at.isoformat(),
            "published_by": revision.published_by.name if self.viewer.is_signed_in else None,
            "note": revision.note if self.viewer.is_signed_in else "",
        }


class Revisions(RevisionView):
    @reads("List an incident's revisions, newest first", answer="RevisionList", query=PAGING)
    def get(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        rows = self.revisions(incident).defer("document")
        found, next_address = paginate(request, rows, Order(descending=True))
        return page([self.line(incident, revision) for revision in found], next_address)


class OneRevision(RevisionView):
    @reads("Read a revision", answer="RevisionDocument", etag=True)
    def get(self, request: Request, ref: str, number: int) -> Response:
        incident = self.locate(ref)
        revision = self.revisions(incident).filter(number=number).first()
        if revision is None:
            raise Missing
        document = revision.document if self.viewer.is_signed_in else redacted(revision.document)
        body = {**self.line(incident, revision), "document": document}
        return answer(body, etag=etags.of_content(body))


class Audit(IncidentView):
    @reads("Who did what to it, newest first", answer="AuditList", query=PAGING)
    def get(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        if not scopes.sees_working_copy(self.viewer, incident):
            raise Missing
        rows = AuditEntry.objects.filter(incident=incident).select_related("actor")
        rows = rows.exclude(pk__in=about_hidden_links(incident, self.viewer))
        found, next_address = paginate(request, rows, Order(descending=True))
        return page([self._line(entry) for entry in found], next_address)

    def _line(self, entry: AuditEntry) -> dict[str, Any]:
        return {
            "at": entry.at.isoformat(),
            "actor": entry.actor.name if entry.actor else None,
            "action": entry.action,
            "object_type": entry.object_type,
            "object_id": entry.object_id,
            "change": entry.change,
        }


def about_hidden_links(incident: Incident, viewer: Viewer) -> list[int]:
    """The audit entries about links to incidents that the viewer cannot see, so also of links that are gone by now."""
    link_type = IncidentLink._meta.model_name or ""
    here = dict(AuditEntry.objects.filter(incident=incident, object_type=link_type).values_list("pk", "object_id"))
    if not here:
        return []
    ends: dict[str, set[str]] = {}
    added = AuditEntry.objects.filter(object_type=link_type, action="link.added", object_id__in=set(here.values()))
    for link_id, begins_at, change in added.values_list("object_id", "incident_id", "change"):
        ends[link_id] = {f"INC-{begins_at}", change["to"]}
    numbers = {int(ref[4:]) for refs in ends.values() for ref in refs if ref[4:].isdigit()}
    visible = scopes.visible_incidents(viewer).filter(pk__in=numbers).values_list("pk", flat=True)
    refs = {f"INC-{pk}" for pk in visible}
    return [pk for pk, link_id in here.items() if not (link_id in ends and ends[link_id] <= refs)]


class MarkdownRenderer(BaseRenderer):
    media_type = "text/markdown"
    format = "markdown"


class Export(IncidentView):
    renderer_classes = [JSONRenderer, MarkdownRenderer]

    @reads("Take an incident away", answer="Export", query=(FORMAT,), etag=True, media=("text/markdown",))
    def get(self, request: Request, ref: str) -> Response | HttpResponse:
        wanted = parameters.chosen(request.query_params, FORMAT) or request.accepted_renderer.format
        reading = self.find(ref)
        tag = documents.etag(reading, reading.document)
        if wanted != "markdown":
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
            return answer(export.json_document(reading), etag=tag)
        return HttpResponse(
            export.markdown(reading),
            content_type="text/markdown; charset=utf-8",
            headers={"ETag": tag, "Content-Disposition": f'attachment; filename="{reading.incident.ref}.md"'},
        )
