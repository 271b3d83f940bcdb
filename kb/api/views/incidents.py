"""Incidents: the list, one of them, and its steps from draft to published and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import scopes
from incidents.actions import lifecycle
from incidents.actions.compose import create_with_content, write_incident
from incidents.actions.incidents import delete_incident
from incidents.actions.links import find_visible
from incidents.document import Reading, read
from incidents.errors import Missing
from incidents.models import Incident
from kb.api import documents, etags, filters
from kb.api.as_seen import AsSeen
from kb.api.base import ApiView, answer, nothing, page
from kb.api.filters import IncidentFilter
from kb.api.operations import reads, writes
from kb.api.pagination import paginate
from kb.api.parameters import PAGING


class IncidentView(ApiView):
    """A view of one incident, or of something in it."""

    def find(self, ref: str) -> Reading:
        """What the caller reads there. Raises Missing."""
        return read(self.locate(ref, whole=True), self.viewer)

    def part(self, ref: str, name: str) -> list[dict[str, Any]]:
        """One list of what the caller reads there: `sections`, `links` or a kind of rows. Raises Missing."""
        return documents.part(self.viewer, self.locate(ref), name)

    def locate(self, ref: str, *, whole: bool = False) -> Incident:
        """The incident itself, to change it. Raises Missing. From then on the answer is about this incident."""
        incident = find_visible(self.viewer, ref, whole=whole)
        self.incident_id = incident.pk
        return incident

    def expected(self, incident: Incident, stored: QuerySet[Any], shown: Callable[[], Any]) -> int | None:
        """The version that the caller expects of a part of the incident: a section, row or link.

        `stored` is the part in the working copy; `shown` looks for it in what everybody else is shown. Raises Missing.
        """
        if not scopes.sees_working_copy(self.viewer, incident):
            shown()
            return self.condition().expected(etags.NEVER)
        version = stored.values_list("version", flat=True).first()
        if version is None:
            raise Missing
        return self.condition().expected(version)

    def shown(self, incident_id: int, *, status: int = 200, warnings: list[str] | None = None) -> Response:
        """The whole incident after a change."""
        reading = self.find(str(incident_id))
        body = documents.document(self, reading)
        more = {"warnings": warnings} if warnings is not None else {}
        location = body["url"] if status == 201 else None
        return answer({**body, **more}, etag=documents.etag(reading, body), status=status, location=location)


class Incidents(IncidentView):
    @reads("List incidents", answer="IncidentList", query=(*filters.parameters(IncidentFilter), *PAGING))
    def get(self, request: Request) -> Response:
        seen = AsSeen.by(self.viewer)
        rows, order = IncidentFilter(request.query_params, seen).ordered()
        # The document itself is large, and its facts are known already where they are needed.
        rows = rows.select_related("organization", "published_organization", "team", "published_revision")
        rows = rows.defer("published_revision__document").prefetch_related("services", "published_services")
        found, next_address = paginate(request, rows, order)
        tags = documents.tags_of(incident.pk for incident in found)
        return page([self._line(incident, seen, tags[incident.pk]) for incident in found], next_address)

    def _line(self, incident: Incident, seen: AsSeen, tags: tuple[list[str], list[str]]) -> dict[str, Any]:
        return documents.summary(
            self,
            incident,
            viewer=self.viewer,
            published=seen.published.get(incident.pk),
            tags=tags,
        )

    @writes("Begin a postmortem", body="IncidentCreate", answer="Incident", status=201)
    def post(self, request: Request) -> Response:
        template = self.body.pop("template", "standard")
        incident, warnings = create_with_content(actor=self.viewer, body=self.body, template_key=template)
        self.incident_id = incident.pk
        return self.shown(incident.pk, status=201, warnings=warnings)


class OneIncident(IncidentView):
    @reads("Read an incident", answer="Incident", etag=True)
    def get(self, request: Request, ref: str) -> Response:
        reading = self.find(ref)
        body = documents.document(self, reading)
        return answer(body, etag=documents.etag(reading, body))

    @writes("Change an incident and its content", body="IncidentChange", answer="Incident", precondition="required")
    def patch(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        _, warnings = write_incident(
            actor=self.viewer,
            incident_id=incident.pk,
            body=self.body,
            expected_version=self.condition().expected(incident.version),
        )
        return self.shown(incident.pk, warnings=warnings)

    @writes("Delete an incident", answer=None, status=204, precondition="required")
    def delete(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        expected = self.condition().expected(incident.version)
        delete_incident(actor=self.viewer, incident_id=incident.pk, expected_version=expected)
        return nothing()


class Step(IncidentView):
    """One step of an incident's life. Its name is the last part of the address and the action's name."""

    step: ClassVar[str]

    def take(self, ref: str, **values: Any) -> Response:
        incident = self.locate(ref)
        getattr(lifecycle, self.step)(
            actor=self.viewer,
            incident_id=incident.pk,
            expected_version=self.condition().expected(incident.version),
            **values,
        )
        return self.shown(incident.pk)


class Submit(Step):
    step = "submit"

    @writes("Ask for a review", body="Submit", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, reviewers=self.body["reviewers"])


class Withdraw(Step):
    step = "withdraw"

    @writes("Take it back from review", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Review(Step):
    step = "review"

    @writes("Approve, or ask for changes", body="Review", answer="Incident", precondition="required")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, approve=self.body["approve"], comment=self.body.get("comment") or "")


class Publish(Step):
    step = "publish"

    @writes("Publish the working copy as a revision", body="Publish", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, note=self.body.get("note") or "")


class Reopen(Step):
    step = "reopen"

    @writes("Reopen what is published; readers keep its revision", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Archive(Step):
    step = "archive"

    @writes("Take it out of lists; it stays readable", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Restore(Step):
    step = "restore"

    @writes("Bring it back from the archive", answer="Incident", precondition="optional")
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


STEPS: tuple[type[Step], ...] = (Submit, Withdraw, Review, Publish, Reopen, Archive, Restore)
