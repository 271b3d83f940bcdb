"""Links to other incidents. They stay editable after publishing, so both the editor and the upkeep page post here."""

from __future__ import annotations

import uuid as uuids

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from incidents.actions.links import remove_link
from kb.web.request import Request
from kb.web.writing.access import id_of, incident_to_read, post_only, signed_in
from kb.web.writing.editor import EDITABLE
from kb.web.writing.upkeep import save_sent


@post_only
@signed_in
def add(request: Request, reference: str) -> HttpResponse:
    return save_sent(request, reference, adds_link=True) or _back(request, reference)


@post_only
@signed_in
def remove(request: Request, reference: str, link_id: uuids.UUID) -> HttpResponse:
    """Remove a link, once all that was typed next to it is saved."""
    if unsaved := save_sent(request, reference):
        return unsaved
    remove_link(actor=request.viewer, incident_id=id_of(request, reference), link_id=link_id)
    return _back(request, reference)


def _back(request: Request, reference: str) -> HttpResponse:
    incident = incident_to_read(request, reference)
    name = "web:edit" if incident.status in EDITABLE else "web:upkeep"
    return redirect(f"{reverse(name, args=[incident.ref])}#links")
