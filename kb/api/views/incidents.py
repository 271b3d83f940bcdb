"""Incidents: listing, reading and writing them, and the steps from draft to published and back."""

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
from kb.api.base import ApiView, answer, no_content, page
from kb.api.filters import IncidentFilter
from kb.api.operations import reads, writes
from kb.api.pagination import paginate
from kb.api.parameters import PAGING
from kb.api.visible_incidents import VisibleIncidents


class IncidentView(ApiView):
    """Base of the views of one incident or a part of it."""

    def find(self, ref: str) -> Reading:
        """The incident as this caller reads it. Raises Missing."""
        return read(self.locate(ref, whole=True), self.viewer)

    def part(self, ref: str, name: str) -> list[dict[str, Any]]:
        """One list of the incident as this caller reads it: `sections`, `links` or a kind of rows. Raises Missing."""
        return documents.part(self.viewer, self.locate(ref), name)

    def locate(self, ref: str, *, whole: bool = False) -> Incident:
        """The incident itself, to be changed. Raises Missing. Marks the response as being about this incident."""
        incident = find_visible(self.viewer, ref, whole=whole)
        self.incident_id = incident.pk
        return incident

    def locate_working_copy(self, ref: str) -> Incident:
        """As `locate`. Raises Missing also for callers who do not see the working copy."""
        incident = self.locate(ref)
        if not scopes.sees_working_copy(self.viewer, incident):
            raise Missing
        return incident

    def expected_version(
        self, incident: Incident, stored: QuerySet[Any], find_published: Callable[[], Any]
    ) -> int | None:
        """The version of a part (a section, row or link) that the caller expects, or None for any.

        `stored` is the part in the working copy; `find_published` looks it up for callers who only read the published
        revision. Raises Missing.
        """
        if not scopes.sees_working_copy(self.viewer, incident):
            find_published()
            return self.condition().expected(etags.NEVER)
        version = stored.values_list("version", flat=True).first()
        if version is None:
            raise Missing
        return self.condition().expected(version)

    def respond(self, incident_id: int, *, status: int = 200, warnings: list[str] | None = None) -> Response:
        """Respond with the whole incident after a change."""
        reading = self.find(str(incident_id))
        body = documents.document(self, reading)
        more = {"warnings": warnings} if warnings is not None else {}
        location = body["url"] if status == 201 else None
        return answer({**body, **more}, etag=documents.etag(reading, body), status=status, location=location)


class Incidents(IncidentView):
    @reads(
        "List incidents",
        description="Lists the incidents that the caller can see. Archived ones are left out unless `status` asks for "
        "them.",
        answer="IncidentList",
        query=(*filters.parameters(IncidentFilter), *PAGING),
    )
    def get(self, request: Request) -> Response:
        visible = VisibleIncidents.of(self.viewer)
        rows, order = IncidentFilter(request.query_params, visible).ordered()
        # The revision document is large, and VisibleIncidents has already read the facts needed from it.
        rows = rows.select_related("organization", "published_organization", "team", "published_revision")
        rows = rows.defer("published_revision__document").prefetch_related("services", "published_services")
        found, next_address = paginate(request, rows, order)
        tags = documents.tags_of(incident.pk for incident in found)
        results = [self._represent(incident, visible, tags[incident.pk]) for incident in found]
        return page(results, next_address, notices=filters.notices(request.query_params, self.viewer, results))

    def _represent(
        self, incident: Incident, visible: VisibleIncidents, tags: tuple[list[str], list[str]]
    ) -> dict[str, Any]:
        return documents.summary(
            self,
            incident,
            viewer=self.viewer,
            published=visible.published.get(incident.pk),
            tags=tags,
        )

    @writes(
        "Create an incident",
        description="Starts a postmortem draft with whatever is known so far. For authors and leads of a team, and "
        "admins. Only the title is always required. `team` can be left out by admins, and by authors who write for "
        "exactly one team. By default the incident is about the home organization, and its visibility is `internal`.",
        body="IncidentCreate",
        answer="Incident",
        status=201,
    )
    def post(self, request: Request) -> Response:
        template = self.body.pop("template", "standard")
        incident, warnings = create_with_content(actor=self.viewer, body=self.body, template_key=template)
        self.incident_id = incident.pk
        return self.respond(incident.pk, status=201, warnings=warnings)


class OneIncident(IncidentView):
    @reads(
        "Get an incident",
        description="Returns the working copy to callers who can see it, otherwise the latest published revision.",
        answer="Incident",
        etag=True,
    )
    def get(self, request: Request, ref: str) -> Response:
        reading = self.find(ref)
        body = documents.document(self, reading)
        return answer(body, etag=documents.etag(reading, body))

    @writes(
        "Update an incident",
        description="For authors and leads of the owning team, and admins. Changes only what the body names, all or "
        "nothing. A list of rows is replaced as a whole: rows match by id, one without an id is added, one that is "
        "left out is removed. Once published, only visibility and team can be changed until the postmortem is "
        "reopened.",
        body="IncidentChange",
        answer="Incident",
        precondition="required",
    )
    def patch(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        _, warnings = write_incident(
            actor=self.viewer,
            incident_id=incident.pk,
            body=self.body,
            expected_version=self.condition().expected(incident.version),
        )
        return self.respond(incident.pk, warnings=warnings)

    @writes(
        "Delete an incident",
        description="Hides the incident from everyone at once. Only leads of the owning team and admins can do this.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        expected = self.condition().expected(incident.version)
        delete_incident(actor=self.viewer, incident_id=incident.pk, expected_version=expected)
        return no_content()


class Step(IncidentView):
    """One step in the life of an incident. `step` is both the last part of the path and the name of the action."""

    step: ClassVar[str]

    def take(self, ref: str, **values: Any) -> Response:
        incident = self.locate(ref)
        getattr(lifecycle, self.step)(
            actor=self.viewer,
            incident_id=incident.pk,
            expected_version=self.condition().expected(incident.version),
            **values,
        )
        return self.respond(incident.pk)


class Submit(Step):
    step = "submit"

    @writes(
        "Submit for review",
        description="Starts a new round of review and asks the given people. Reviewers of an earlier round who are not "
        "named again are no longer asked.",
        body="Submit",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, reviewers=self.body["reviewers"])


class Withdraw(Step):
    step = "withdraw"

    @writes(
        "Withdraw from review",
        description="Ends the round of review and returns the postmortem to draft.",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Review(Step):
    step = "review"

    @writes(
        "Approve or request changes",
        description="Records the decision of a reviewer who was asked. Requesting changes returns the postmortem to "
        "draft. If-Match is required, because an approval covers exactly the text that was read.",
        body="Review",
        answer="Incident",
        precondition="required",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, approve=self.body["approve"], comment=self.body.get("comment") or "")


class Publish(Step):
    step = "publish"

    @writes(
        "Publish the postmortem",
        description="Publishes the working copy as a new, immutable revision. Team leads and admins can publish at any "
        "time, authors once a reviewer has approved the current text.",
        body="Publish",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref, note=self.body.get("note") or "")


class Reopen(Step):
    step = "reopen"

    @writes(
        "Reopen a published postmortem",
        description="Returns it to draft. Readers keep seeing the published revision until the next one.",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Archive(Step):
    step = "archive"

    @writes(
        "Archive a published postmortem",
        description="Hides it from lists and searches. Anyone who can read it now still can. Only leads of the owning "
        "team and admins can do this.",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


class Restore(Step):
    step = "restore"

    @writes(
        "Restore an archived postmortem",
        description="Returns it to published. Only leads of the owning team and admins can do this.",
        answer="Incident",
        precondition="optional",
    )
    def post(self, request: Request, ref: str) -> Response:
        return self.take(ref)


STEPS: tuple[type[Step], ...] = (Submit, Withdraw, Review, Publish, Reopen, Archive, Restore)
