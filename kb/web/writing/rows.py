"""Rows of records: adding, changing, moving, removing and restoring. Each row is a card with its own version."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from incidents.actions.rows import move_row, put_back_row
from incidents.actions.sections import add_row, change_row, remove_row
from incidents.document import prefetch_parts, relation
from incidents.errors import Invalid, Missing, Stale
from incidents.models import Incident, Row
from incidents.records import KINDS
from kb.web.request import Request
from kb.web.writing import moments, readiness, record_inputs
from kb.web.writing.access import (
    fragment,
    id_of,
    incident_to_edit,
    incident_to_read,
    incident_with_parts,
    opened_version,
    opened_zone,
    post_only,
    posted_number,
    signed_in,
)
from kb.web.writing.cards import Attempt, Conflict, RemovedRow, records_of, row_card, row_title
from kb.web.writing.editor import card_fragment, editor_page
from kb.web.writing.inputs import errors_by_input


def _checked_kind(kind: str) -> str:
    """`kind`, if it is a kind of records. Raises Missing otherwise."""
    if kind not in KINDS:
        raise Missing
    return kind


def _row(incident: Incident, kind: str, row_id: uuids.UUID) -> Row:
    row = next((row for row in getattr(incident, relation(kind)).all() if row.uuid == row_id), None)
    if row is None:
        raise Missing("This is not in the postmortem. It may have been removed in the meantime.")
    return row


@post_only
@signed_in
def add(request: Request, reference: str, kind: str) -> HttpResponse:
    incident = incident_to_edit(request, reference)
    values = record_inputs.posted_values(_checked_kind(kind), request.POST)
    zone = opened_zone(request, incident)
    try:
        add_row(
            actor=request.viewer,
            incident_id=incident.pk,
            kind=kind,
            values=record_inputs.action_values(kind, values, day=moments.default_day(incident), zone=zone),
        )
    except Invalid as refused:
        errors = errors_by_input(refused.fields, record_inputs.names(kind))
        return _rows_response(
            request, incident, kind, attempt=Attempt(f"new-{kind}", values, errors, zone=zone), status=400
        )
    return _rows_response(request, incident_to_read(request, reference), kind)


@post_only
@signed_in
def save(request: Request, reference: str, kind: str, row_id: uuids.UUID) -> HttpResponse:
    incident = incident_to_edit(request, reference)
    row = _row(incident, _checked_kind(kind), row_id)
    if request.POST.get("take") == "theirs":
        card = row_card(incident, kind, row)
        if request.htmx:
            return card_fragment(request, incident, card, redraw=tuple(record_inputs.names(kind)))
        return _back(incident, kind)
    if refused := _save_sent(request, incident, kind, row):
        return refused
    incident = incident_with_parts(request, reference)
    if request.htmx:
        zone = opened_zone(request, incident)
        return card_fragment(request, incident, row_card(incident, kind, _row(incident, kind, row_id), zone=zone))
    messages.success(request, "Saved.")
    return _back(incident, kind)


def _save_sent(request: Request, incident: Incident, kind: str, row: Row) -> HttpResponse | None:
    """Save the row as it was sent; the answer if that was refused."""
    values = record_inputs.posted_values(kind, request.POST)
    zone = opened_zone(request, incident)
    before = record_inputs.form_values(kind, row, zone)
    try:
        change_row(
            actor=request.viewer,
            incident_id=incident.pk,
            kind=kind,
            row_id=row.uuid,
            values=record_inputs.action_values(
                kind, values, before=before, day=moments.default_day(incident), zone=zone
            ),
            expected_version=opened_version(request),
        )
    except (Invalid, Stale) as refused:
        return _row_refused(request, incident_with_parts(request, incident.ref), kind, row.uuid, values, refused)
    return None


def _row_refused(
    request: Request,
    incident: Incident,
    kind: str,
    row_id: uuids.UUID,
    values: record_inputs.Values,
    refused: Invalid | Stale,
) -> HttpResponse:
    row = _row(incident, kind, row_id)
    version, zone = posted_number(request, "version") or row.version, opened_zone(request, incident)
    if isinstance(refused, Stale):
        now = record_inputs.form_values(kind, row, zone)
        pairs = record_inputs.labelled_pairs(kind, values, now)
        conflict = Conflict.of(row.version, pairs, at=row.updated_at)
        attempt = Attempt(f"row-{row_id}", values, conflict=conflict, version=version, zone=zone)
    else:
        errors = errors_by_input(refused.fields, record_inputs.names(kind))
        attempt = Attempt(f"row-{row_id}", values, errors, version=version, zone=zone)
    status = 409 if attempt.conflict else 400
    if request.htmx:
        return card_fragment(request, incident, row_card(incident, kind, row, attempt), status=status)
    return editor_page(request, incident, attempt=attempt, status=status)


@post_only
@signed_in
def move(request: Request, reference: str, kind: str, row_id: uuids.UUID) -> HttpResponse:
    incident = incident_to_edit(request, reference)
    by = -1 if request.POST.get("move") == "up" else 1
    # A plain form sends what was typed along with its button. With scripts, it was saved before.
    if not request.htmx and "version" in request.POST:
        row = _row(incident, _checked_kind(kind), row_id)
        if refused := _save_sent(request, incident, kind, row):
            return refused
    move_row(actor=request.viewer, incident_id=incident.pk, kind=_checked_kind(kind), row_id=row_id, by=by)
    return _rows_response(request, incident_to_read(request, reference), kind)


@post_only
@signed_in
def remove(request: Request, reference: str, kind: str, row_id: uuids.UUID) -> HttpResponse:
    """Remove a row at once, and offer to undo that."""
    incident = incident_to_edit(request, reference)
    row = _row(incident, _checked_kind(kind), row_id)
    undo = RemovedRow(
        kind=kind,
        title=row_title(row),
        url=reverse("web:put-back-row", args=[incident.ref, kind]),
        position=row.position,
        row=str(row.uuid),
        values=json.dumps({name: v for name, v in KINDS[kind].write(row, incident.time_zone).items() if name != "id"}),
    )
    remove_row(actor=request.viewer, incident_id=incident.pk, kind=kind, row_id=row_id)
    return _rows_response(request, incident_to_read(request, reference), kind, removed=undo)


@post_only
@signed_in
def put_back(request: Request, reference: str, kind: str) -> HttpResponse:
    incident_id = id_of(request, reference)
    row_id, values = _removed_row(request)
    put_back_row(
        actor=request.viewer,
        incident_id=incident_id,
        kind=_checked_kind(kind),
        row_id=row_id,
        position=posted_number(request, "position") or 0,
        values=values,
    )
    return _rows_response(request, incident_to_read(request, reference), kind)


def _removed_row(request: Request) -> tuple[uuids.UUID, dict[str, Any]]:
    try:
        row_id, values = uuids.UUID(request.POST.get("row", "")), json.loads(request.POST.get("values", ""))
    except (ValueError, RecursionError) as error:
        raise Invalid({"values": "This row cannot be restored. Reload the page."}) from error
    if not isinstance(values, dict):
        raise Invalid({"values": "This row cannot be restored. Reload the page."})
    return row_id, values


def _rows_response(
    request: Request,
    incident: Incident,
    kind: str,
    *,
    attempt: Attempt | None = None,
    removed: RemovedRow | None = None,
    status: int = 200,
) -> HttpResponse:
    """The answer to a change of rows: for htmx all rows of the kind, for a plain form the page or a redirect to it."""
    if request.htmx:
        return rows_fragment(request, incident, kind, attempt=attempt, removed=removed, status=status)
    if attempt or removed:
        return editor_page(request, incident, attempt=attempt, removed=removed, status=status)
    return _back(incident, kind)


def rows_fragment(
    request: Request,
    incident: Incident,
    kind: str,
    *,
    attempt: Attempt | None = None,
    removed: RemovedRow | None = None,
    with_paste: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The current rows of a kind and what is still missing, for htmx. `with_paste` adds an empty form for pasting."""
    prefetch_parts(incident)
    context = {
        "incident": incident,
        "records": records_of(incident, kind, attempt=attempt, removed=removed),
        "readiness": readiness.of(incident),
        "paste": {"day": moments.default_day(incident) or timezone.localdate()} if with_paste else None,
    }
    return fragment(request, "web/writing/records_answer.html", context, status=status)


def _back(incident: Incident, kind: str) -> HttpResponse:
    return redirect(f"{reverse('web:edit', args=[incident.ref])}#records-{kind}")
