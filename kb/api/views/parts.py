"""The parts of an incident, each with its own URL and version: sections, rows of records, and links."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import scopes
from incidents.actions import links, sections
from incidents.errors import Invalid, Missing
from incidents.models import IncidentLink
from incidents.records import KINDS
from incidents.wording import with_article
from kb.api import documents
from kb.api.base import answer, no_content, page
from kb.api.operations import reads, writes
from kb.api.shapes.incidents import row_name
from kb.api.views.incidents import IncidentView


def _one(parts: list[dict[str, Any]], name: str, value: str) -> dict[str, Any]:
    found = next((part for part in parts if part[name] == value), None)
    if found is None:
        raise Missing
    return found


class Sections(IncidentView):
    @reads("List sections", answer="SectionList")
    def get(self, request: Request, ref: str) -> Response:
        return page(self.part(ref, "sections"))


class Section(IncidentView):
    def section(self, ref: str, key: str) -> dict[str, Any]:
        return _one(self.part(ref, "sections"), "key", key)

    @reads("Get a section", answer="Section", etag=True)
    def get(self, request: Request, ref: str, key: str) -> Response:
        section = self.section(ref, key)
        return answer(section, etag=documents.part_etag(section))

    @writes("Update a section", body="SectionChange", answer="Section", precondition="required")
    def patch(self, request: Request, ref: str, key: str) -> Response:
        incident = self.locate(ref)
        expected = self.expected_version(incident, incident.sections.filter(key=key), lambda: self.section(ref, key))
        try:
            sections.change_section(
                actor=self.viewer,
                incident_id=incident.pk,
                key=key,
                expected_version=expected,
                **{name: value or "" for name, value in self.body.items()},
            )
        except Invalid as error:
            # Here the section is the whole body, so its fields need no prefix.
            raise Invalid(
                {name.removeprefix(f"sections.{key}."): texts for name, texts in error.fields.items()}
            ) from error
        section = self.section(ref, key)
        return answer(section, etag=documents.part_etag(section))


class RowsView(IncidentView):
    """Base of the views of one kind of records. `kind` is a key of KINDS, set by the route."""

    kind: str = ""

    @property
    def words(self) -> dict[str, str]:
        """Fills the summaries of operations: {a_row} and {rows}."""
        name = KINDS[self.kind].singular
        return {"a_row": with_article(name), "rows": f"{name}s"}

    @property
    def row_shape(self) -> str:
        return row_name(KINDS[self.kind])

    def row(self, ref: str, row_id: uuid.UUID | str) -> dict[str, Any]:
        return _one(self.part(ref, self.kind), "id", str(row_id))


class Rows(RowsView):
    @reads("List {rows}", answer="{row}List")
    def get(self, request: Request, ref: str) -> Response:
        return page(self.part(ref, self.kind))

    @writes("Add {a_row}", body="{row}Create", answer="{row}", status=201)
    def post(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        added = sections.add_row(actor=self.viewer, incident_id=incident.pk, kind=self.kind, values=self.body)
        row = self.row(ref, added.uuid)
        location = self.address(f"incident-{self.kind}-row", ref=incident.ref, row_id=added.uuid)
        return answer(row, etag=documents.part_etag(row), status=201, location=location)


class Row(RowsView):
    @reads("Get {a_row}", answer="{row}", etag=True)
    def get(self, request: Request, ref: str, row_id: uuid.UUID) -> Response:
        row = self.row(ref, row_id)
        return answer(row, etag=documents.part_etag(row))

    @writes("Update {a_row}", body="{row}Change", answer="{row}", precondition="required")
    def patch(self, request: Request, ref: str, row_id: uuid.UUID) -> Response:
        sections.change_row(
            actor=self.viewer, **self._target(ref, row_id), kind=self.kind, row_id=row_id, values=self.body
        )
        row = self.row(ref, row_id)
        return answer(row, etag=documents.part_etag(row))

    @writes("Remove {a_row}", answer=None, status=204, precondition="required")
    def delete(self, request: Request, ref: str, row_id: uuid.UUID) -> Response:
        sections.remove_row(actor=self.viewer, **self._target(ref, row_id), kind=self.kind, row_id=row_id)
        return no_content()

    def _target(self, ref: str, row_id: uuid.UUID) -> dict[str, Any]:
        """The incident, and the version of the row that the caller expects."""
        incident = self.locate(ref)
        stored = KINDS[self.kind].model._default_manager.filter(incident=incident, uuid=row_id)
        expected = self.expected_version(incident, stored, lambda: self.row(ref, row_id))
        return {"incident_id": incident.pk, "expected_version": expected}


class Links(IncidentView):
    @reads(
        "List links to other incidents",
        description="Lists links in both directions, to incidents that the caller can see.",
        answer="LinkList",
    )
    def get(self, request: Request, ref: str) -> Response:
        return page(self.part(ref, "links"))

    @writes(
        "Link to another incident",
        description="Returns the existing link with 200 if there is one of this kind. If its note differs from a note "
        "in the body, the response is 409.",
        body="LinkCreate",
        answer="Link",
        status=201,
        may_exist=True,
    )
    def post(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        added, is_new = links.add_link(
            actor=self.viewer,
            incident_id=incident.pk,
            kind=self.body["kind"],
            to=self.body["to"],
            note=self.body.get("note") or "",
        )
        link = _one(self.part(ref, "links"), "id", str(added.uuid))
        location = self.address("incident-link", ref=incident.ref, link_id=added.uuid)
        return answer(link, etag=documents.part_etag(link), status=201 if is_new else 200, location=location)


class Link(IncidentView):
    def link(self, ref: str, link_id: uuid.UUID) -> dict[str, Any]:
        return _one(self.part(ref, "links"), "id", str(link_id))

    @reads("Get a link", answer="Link", etag=True)
    def get(self, request: Request, ref: str, link_id: uuid.UUID) -> Response:
        link = self.link(ref, link_id)
        return answer(link, etag=documents.part_etag(link))

    @writes("Update a link's note", body="LinkChange", answer="Link", precondition="required")
    def patch(self, request: Request, ref: str, link_id: uuid.UUID) -> Response:
        links.change_link(actor=self.viewer, **self._target(ref, link_id), link_id=link_id, note=self.body["note"])
        link = self.link(ref, link_id)
        return answer(link, etag=documents.part_etag(link))

    @writes("Remove a link", answer=None, status=204, precondition="required")
    def delete(self, request: Request, ref: str, link_id: uuid.UUID) -> Response:
        links.remove_link(actor=self.viewer, **self._target(ref, link_id), link_id=link_id)
        return no_content()

    def _target(self, ref: str, link_id: uuid.UUID) -> dict[str, Any]:
        incident = self.locate(ref)
        visible = scopes.visible_incidents(self.viewer)
        stored = IncidentLink.objects.filter(
            Q(from_incident=incident, to_incident__in=visible) | Q(to_incident=incident, from_incident__in=visible),
            uuid=link_id,
        )
        expected = self.expected_version(incident, stored, lambda: self.link(ref, link_id))
        return {"incident_id": incident.pk, "expected_version": expected}
