"""Links to other incidents: they live on after publishing, so they are written here and on the upkeep page alike."""

from __future__ import annotations

import uuid as uuids

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from incidents.actions.links import add_link, remove_link
from incidents.errors import Invalid
from kb.web.request import Request
from kb.web.writing.access import id_of, incident_named, incident_to_edit, signed_in, step
from kb.web.writing.editor import EDITABLE


@step
@signed_in
def add(request: Request, reference: str) -> HttpResponse:
    incident_id = incident_to_edit(request, reference).pk
    try:
        add_link(
            actor=request.viewer,
            incident_id=incident_id,
            kind=request.POST.get("kind", ""),
            to=request.POST.get("to", ""),
            note=request.POST.get("note", ""),
        )
    except Invalid as refused:
        for message in refused.fields.values():
            messages.error(request, " ".join(message))
    return _back(request, reference)


@step
@signed_in
def remove(request: Request, reference: str, link_id: uuids.UUID) -> HttpResponse:
    remove_link(actor=request.viewer, incident_id=id_of(request, reference), link_id=link_id)
    return _back(request, reference)


def _back(request: Request, reference: str) -> HttpResponse:
    incident = incident_named(request, reference)
    name = "web:edit" if incident.status in EDITABLE else "web:upkeep"
    return redirect(f"{reverse(name, args=[incident.ref])}#links")
