"""What lives on after publishing: the progress of actions, who may read it, links to other incidents."""

from __future__ import annotations

import uuid as uuids

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from incidents import scopes
from incidents.actions.incidents import change_incident
from incidents.actions.sections import change_row
from incidents.document import links, read_parts
from incidents.errors import Invalid, Missing, Stale
from incidents.models import ActionItem, Incident
from incidents.records import KINDS
from incidents.vocabulary import LinkKind, Status
from kb.web.request import Request
from kb.web.writing import facts_card, record_inputs
from kb.web.writing.access import id_of, incident_named, incident_to_edit, page, signed_in, step, version_opened
from kb.web.writing.cards import Attempt, Card, Conflict
from kb.web.writing.editor import EDITABLE, people_to_suggest
from kb.web.writing.inputs import by_name, filled

KIND = "actions"
LIVE = tuple(field.name for field in KINDS[KIND].fields if field.live and field.name in record_inputs.names(KIND))


@page
@signed_in
def upkeep(request: Request, reference: str) -> HttpResponse:
    """While it is being written, all of this is in the editor."""
    incident = incident_to_edit(request, reference)
    return redirect("web:edit", incident.ref) if incident.status in EDITABLE else upkeep_page(request, incident)


def upkeep_page(
    request: Request, incident: Incident, *, attempt: Attempt | None = None, status: int = 200
) -> HttpResponse:
    read_parts(incident, "services", "actions")
    facts = facts_card.card(incident, request.viewer)
    context = {
        "incident": incident,
        "actions": [(action, _card(incident, action, attempt)) for action in incident.actionitems.all()],
        "visibility": facts.named["visibility"],
        "people": people_to_suggest(request.viewer),
        "links": links(incident, request.viewer),
        "link_kinds": LinkKind.choices,
        "is_published": incident.status == Status.PUBLISHED,
        "may_lead": scopes.may_lead(request.viewer, incident),
    }
    return render(request, "web/writing/upkeep.html", context, status=status)


def _card(incident: Incident, action: ActionItem, attempt: Attempt | None) -> Card:
    """Only what may change without reopening."""
    card = f"row-{action.uuid}"
    plain = [i for i in record_inputs.INPUTS[KIND] if i.name in LIVE]
    values = record_inputs.shown(KIND, action, incident.time_zone)
    url = reverse("web:save-progress", args=[incident.ref, action.uuid])
    if attempt is None or attempt.card != card:
        return Card(card, url, filled(plain, values, card=card), {"version": str(action.version)})
    return Card(
        card,
        url,
        filled(plain, attempt.values, card=card, errors=attempt.errors),
        {"version": str(attempt.version or action.version)},
        problems=attempt.errors.get("", ()),
        conflict=attempt.conflict,
    )


@step
@signed_in
def save_progress(request: Request, reference: str, row_id: uuids.UUID) -> HttpResponse:
    """State, owner, due day and tracker link of one action."""
    incident = incident_to_edit(request, reference)
    typed = record_inputs.typed(KIND, request.POST)
    values = {name: typed[name] for name in LIVE}
    try:
        change_row(
            actor=request.viewer,
            incident_id=incident.pk,
            kind=KIND,
            row_id=row_id,
            values=values,
            expected_version=version_opened(request),
        )
    except (Invalid, Stale) as refused:
        incident = incident_named(request, reference)
        row = next((a for a in incident.actionitems.all() if a.uuid == row_id), None)
        if row is None:
            raise Missing from refused
        return upkeep_page(
            request,
            incident,
            attempt=_attempt(incident, row, typed, refused),
            status=409 if isinstance(refused, Stale) else 400,
        )
    messages.success(request, "Saved.")
    return redirect(f"{reverse('web:upkeep', args=[incident.ref])}#row-{row_id}")


def _attempt(incident: Incident, row: ActionItem, typed: record_inputs.Values, refused: Invalid | Stale) -> Attempt:
    if isinstance(refused, Invalid):
        return Attempt(f"row-{row.uuid}", typed, by_name(refused.fields, LIVE))
    now = record_inputs.shown(KIND, row, incident.time_zone)
    pairs = record_inputs.sides(KIND, {name: typed[name] for name in LIVE}, now)
    return Attempt(f"row-{row.uuid}", typed, conflict=Conflict.of(row.version, pairs, at=row.updated_at))


@step
@signed_in
def save_visibility(request: Request, reference: str) -> HttpResponse:
    """Who may read it, from this moment on."""
    facts = {"visibility": request.POST.get("visibility", "")}
    incident, _ = change_incident(actor=request.viewer, incident_id=id_of(request, reference), facts=facts)
    messages.success(request, f"From now on: {incident.get_visibility_display().lower()}.")
    return redirect("web:upkeep", incident.ref)
