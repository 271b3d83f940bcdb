"""An incident's history and export: its revisions, its reviews, its audit trail, and the whole document as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import export, history
from incidents.document import redacted
from incidents.errors import Missing
from incidents.models import AuditEntry, Incident, ReviewRequest, Revision
from kb.api import documents, etags, parameters
from kb.api.base import answer, page
from kb.api.operations import reads
from kb.api.pagination import Order, paginate
from kb.api.parameters import PAGING
from kb.api.views.incidents import IncidentView

FORMAT = parameters.one_of(
    "format", ("markdown", "json"), "By default, what the Accept header asks for, otherwise json."
)


class RevisionView(IncidentView):
    def represent(self, incident: Incident, revision: Revision) -> dict[str, Any]:
        return {
            "number": revision.number,
            "url": self.address("incident-revision", ref=incident.ref, number=revision.number),
            "published_at": revision.published_at.isoformat(),
            "published_by": revision.published_by.name if self.viewer.is_signed_in else None,
            "note": revision.note if self.viewer.is_signed_in else "",
        }


class Revisions(RevisionView):
    @reads(
        "List revisions",
        description="Newest first. Callers who see the working copy get every revision; everyone else only the "
        "published one.",
        answer="RevisionList",
        query=PAGING,
    )
    def get(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        rows = history.revisions(incident, self.viewer).defer("document")
        found, next_address = paginate(request, rows, Order(descending=True))
        return page([self.represent(incident, revision) for revision in found], next_address)


class OneRevision(RevisionView):
    @reads(
        "Get a revision",
        description="Returns the incident as it was published. Earlier revisions are only for callers who see the "
        "working copy.",
        answer="RevisionDocument",
        etag=True,
    )
    def get(self, request: Request, ref: str, number: int) -> Response:
        incident = self.locate(ref)
        revision = history.revisions(incident, self.viewer).filter(number=number).first()
        if revision is None:
            raise Missing
        document = revision.document if self.viewer.is_signed_in else redacted(revision.document)
        body = {**self.represent(incident, revision), "document": document}
        return answer(body, etag=etags.of_content(body))


class Reviews(IncidentView):
    @reads(
        "List reviews",
        description="Lists who was asked for a review and how they decided, latest request first. Only for callers who "
        "see the working copy; 404 for everyone else.",
        answer="ReviewRequestList",
        query=PAGING,
    )
    def get(self, request: Request, ref: str) -> Response:
        incident = self.locate_working_copy(ref)
        found, next_address = paginate(request, history.reviews(incident, self.viewer), Order(descending=True))
        return page([self._represent(review, incident) for review in found], next_address)

    def _represent(self, review: ReviewRequest, incident: Incident) -> dict[str, Any]:
        return {
            "reviewer": review.reviewer.name,
            "email": review.reviewer.email,
            "asked_by": review.asked_by.name,
            "asked_at": review.asked_at.isoformat(),
            "state": review.state,
            "comment": review.comment,
            "decided_at": review.decided_at.isoformat() if review.decided_at else None,
            "ended_at": review.ended_at.isoformat() if review.ended_at else None,
            "approves_current_text": review.approves(incident.version),
        }


class Audit(IncidentView):
    @reads(
        "List audit entries",
        description="Lists who changed what, newest first. Only for callers who see the working copy; 404 for everyone "
        "else.",
        answer="AuditList",
        query=PAGING,
    )
    def get(self, request: Request, ref: str) -> Response:
        incident = self.locate_working_copy(ref)
        found, next_address = paginate(request, history.audit(incident, self.viewer), Order(descending=True))
        return page([self._represent(entry) for entry in found], next_address)

    def _represent(self, entry: AuditEntry) -> dict[str, Any]:
        return {
            "at": entry.at.isoformat(),
            "actor": entry.actor.name if entry.actor else None,
            "action": entry.action,
            "object_type": entry.object_type,
            "object_id": entry.object_id,
            "change": entry.change,
        }


class MarkdownRenderer(JSONRenderer):
    """Only takes part in content negotiation: the view sends the Markdown itself, and errors are always JSON."""

    media_type = "text/markdown"
    format = "markdown"


class Export(IncidentView):
    renderer_classes = [JSONRenderer, MarkdownRenderer]

    @reads(
        "Export an incident",
        description="Downloads the whole record as JSON, which can be imported again, or as Markdown for reading.",
        answer="Export",
        query=(FORMAT,),
        etag=True,
        media=("text/markdown",),
    )
    def get(self, request: Request, ref: str) -> Response | HttpResponse:
        preferred = request.get_preferred_type([JSONRenderer.media_type, MarkdownRenderer.media_type])
        accepted = "markdown" if preferred == MarkdownRenderer.media_type else "json"
        wanted = parameters.chosen(request.query_params, FORMAT) or accepted
        reading = self.find(ref)
        tag = documents.etag(reading, reading.document)
        if wanted != "markdown":
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
            taken = answer(export.json_document(reading), etag=tag)
            taken["Content-Disposition"] = f'attachment; filename="{reading.incident.ref}.json"'
            return taken
        return HttpResponse(
            export.markdown(reading),
            content_type="text/markdown; charset=utf-8",
            headers={"ETag": tag, "Content-Disposition": f'attachment; filename="{reading.incident.ref}.md"'},
        )
