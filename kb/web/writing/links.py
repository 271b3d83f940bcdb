"""Links to other incidents. They stay editable after publishing, so both the editor and the upkeep page post here."""

from __future__ import annotations

import uuid as uuids

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from incidents.actions.links import add_link, remove_link
from incidents.errors import Invalid, WrongState
from kb.web.request import Request
from kb.web.writing.access import id_of, incident_to_edit, incident_to_read, post_only, signed_in
from kb.web.writing.cards import LINK_INPUTS, NEW_LINK, Attempt
from kb.web.writing.editor import EDITABLE, editor_page
from kb.web.writing.inputs import errors_by_input
from kb.web.writing.upkeep import upkeep_page


@post_only
@signed_in
def add(request: Request, reference: str) -> HttpResponse:
    incident = incident_to_edit(request, reference)
    sent = {input.name: request.POST.get(input.name, "") for input in LINK_INPUTS}
    try:
        add_link(actor=request.viewer, incident_id=incident.pk, kind=sent["kind"], to=sent["to"], note=sent["note"])
    except (Invalid, WrongState) as refused:
        draw = editor_page if incident.status in EDITABLE else upkeep_page
        fields = refused.fields if isinstance(refused, Invalid) else {"note": [refused.message]}
        attempt = Attempt(NEW_LINK, sent, errors_by_input(fields, sent))
        return draw(request, incident, attempt=attempt, status=400)
    return _back(request, reference)


@post_only
@signed_in
def remove(request: Request, reference: str, link_id: uuids.UUID) -> HttpResponse:
    remove_link(actor=request.viewer, incident_id=id_of(request, reference), link_id=link_id)
    return _back(request, reference)


def _back(request: Request, reference: str) -> HttpResponse:
    incident = incident_to_read(request, reference)
    name = "web:edit" if incident.status in EDITABLE else "web:upkeep"
    return redirect(f"{reverse(name, args=[incident.ref])}#links")
