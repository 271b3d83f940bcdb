"""Keeping searches, sent from the search page and answered by it."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from kb.search.models import SavedSearch
from kb.search.saved import forget_search, save_search
from kb.search.service import BadRequest, SearchRequest
from kb.web.people.forms import REFUSED, carried_out
from kb.web.request import Request
from kb.web.search.forms import SaveForm
from kb.web.search.views import asked_for, searched
from kb.web.writing.access import signed_in, step


@step
@signed_in
def save(request: Request) -> HttpResponse:
    """The address says which search, as that of the search page does."""
    asked = asked_for(request.GET)
    form = SaveForm(asked, request.POST)
    try:
        saved = carried_out(form, partial(_saved, request, form, asked)) if form.is_valid() else None
    except BadRequest:
        # The page says which part of the search cannot be used.
        return searched(request)
    if saved is None:
        return searched(request, saving=form, status=REFUSED)
    messages.success(request, f"Saved as {saved.name}.")
    return _to(saved)


@step
@signed_in
def forget(request: Request, saved_id: UUID) -> HttpResponse:
    forgotten = forget_search(actor=request.viewer, saved_id=saved_id)
    messages.success(request, f"{forgotten.name} is no longer among your saved searches.")
    return _to(forgotten)


def _saved(request: Request, form: SaveForm, asked: SearchRequest) -> SavedSearch:
    return save_search(actor=request.viewer, name=form.cleaned_data["name"], asked=asked)


def _to(saved: SavedSearch) -> HttpResponse:
    return redirect(f"{reverse('web:search')}?{saved.query}")
