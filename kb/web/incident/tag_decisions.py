"""Confirming, rejecting and adding patterns from an incident's page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from incidents.actions.links import find_visible
from incidents.errors import NotAllowed
from kb.patterns import decisions
from kb.patterns.models import Tag
from kb.web.incident.forms import AddForm, RejectForm
from kb.web.incident.tags import addable
from kb.web.incident.views import show
from kb.web.people.forms import BAD_REQUEST, run_action
from kb.web.request import Request
from kb.web.writing.access import incident_to_read, post_only, signed_in


@post_only
@signed_in
def confirm(request: Request, reference: str, slug: str) -> HttpResponse:
    tag = decisions.confirm(actor=request.viewer, incident_id=_incident_id(request, reference), slug=slug)
    return _back(request, tag, f"Confirmed: {tag.pattern.name}.")


@post_only
@signed_in
def reject(request: Request, reference: str, slug: str) -> HttpResponse:
    incident_id = _incident_id(request, reference)
    form = RejectForm(request.POST, slug=slug)

    def action() -> Tag:
        reason = form.cleaned_data["reason"]
        return decisions.reject(actor=request.viewer, incident_id=incident_id, slug=slug, reason=reason)

    tag = run_action(form, action) if form.is_valid() else None
    if tag is None:
        return show(request, incident_to_read(request, reference), why_slug=slug, rejecting=form, status=BAD_REQUEST)
    return _back(request, tag, f"Rejected: {tag.pattern.name}.")


@post_only
@signed_in
def undo(request: Request, reference: str, slug: str) -> HttpResponse:
    tag = decisions.undo(actor=request.viewer, incident_id=_incident_id(request, reference), slug=slug)
    return _back(request, tag, f"Decision undone: {tag.pattern.name}.")


@post_only
@signed_in
def add(request: Request, reference: str) -> HttpResponse:
    incident_id = _incident_id(request, reference)
    form = AddForm(request.POST, choices=addable(incident_id))

    def action() -> Tag:
        return decisions.add(actor=request.viewer, incident_id=incident_id, **form.cleaned_data)[0]

    tag = run_action(form, action) if form.is_valid() else None
    if tag is None:
        return show(request, incident_to_read(request, reference), adding=form, status=BAD_REQUEST)
    return _back(request, tag, f"Added: {tag.pattern.name}.")


def _incident_id(request: Request, reference: str) -> int:
    """The id of an incident about whose patterns the viewer can decide.

    Raises Missing and NotAllowed, so that permission is checked before the form is validated.
    """
    incident = find_visible(request.viewer, reference)
    if not decisions.may_decide(request.viewer, incident):
        raise NotAllowed("Only authors, leads and admins can decide about this incident's patterns.")
    return incident.pk


def _back(request: Request, tag: Tag, words: str) -> HttpResponse:
    """Return to the pattern in the list of reasons, which shows the decision."""
    messages.success(request, words)
    slug = tag.pattern.slug
    return redirect(f"{reverse('web:incident', args=[tag.incident.ref])}?why={slug}#tag-{slug}")
