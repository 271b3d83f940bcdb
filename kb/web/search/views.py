"""The search page, and the list of all incidents, which is the same page without a query."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from incidents.scopes import Viewer
from kb.search.models import SavedSearch
from kb.search.saved import NAME_CHARACTERS, QUERY_CHARACTERS, forget_search, query_string, save_search, visible_saved
from kb.search.service import BadCursor, BadRequest, Page, SearchRequest, search
from kb.web.people.forms import REFUSED, carried_out
from kb.web.request import Request
from kb.web.search import facets
from kb.web.search.forms import SaveForm
from kb.web.search.hits import hits
from kb.web.writing.access import get_only, get_or_post, post_only, signed_in

SORTS = {
    "relevance": "relevance",
    "newest": "newest first",
    "oldest": "oldest first",
    "longest": "longest first",
    "shortest": "shortest first",
    "severity": "severity",
}
LOST = "That page of results is no longer available. This is the first page."

# Examples of the query language that the page explains. Each is a link to its search.
QUERY_HELP = (
    ('"connection pool"', "these words as a phrase"),
    ("cache OR queue", "either word"),
    ("deploy -rollback", "the first word but not the second"),
    ("org:Cloudflare", "incidents at an organization"),
    ("severity:sev1", "sev1 to sev4, or unknown"),
    ("pattern:retry-storm", "incidents that show a pattern"),
    ("family:network", "causes and patterns in a family"),
    ("started:2019..2021", "a year, month or day, or a range"),
    ("duration:>6h", "a duration, or a range such as 30m..6h"),
    ("is:ours", "also famous, imported, public, internal, draft, archived, overdue"),
    ("has:open-actions", "also timeline, lessons, sources, revision, customer-message"),
    ("detected:customer", "alert, customer, staff or outsider"),
    ("mitigation:rollback", "how it was mitigated"),
    ("service:checkout", "also team:, status: and origin:"),
)


@get_or_post
def search_page(request: Request) -> HttpResponse:
    """GET shows the results. POST saves the search under the name in the form."""
    return _save(request) if request.method == "POST" else _page(request)


@get_only
def incidents(request: Request) -> HttpResponse:
    return _page(request, route="web:incidents", title="Incidents", sort="newest")


@signed_in
def _save(request: Request) -> HttpResponse:
    form = SaveForm(request.POST)
    try:
        saved = carried_out(form, partial(_saved, request, form)) if form.is_valid() else None
    except BadRequest:
        # The page shows which part of the search is invalid.
        return _page(request)
    if saved is None:
        return _page(request, saving=form, status=REFUSED)
    messages.success(request, f"Saved as {saved.name}.")
    return redirect(_address_of(saved))


def _saved(request: Request, form: SaveForm) -> SavedSearch:
    return save_search(actor=request.viewer, name=form.cleaned_data["name"], request=_asked(request.GET))


@post_only
@signed_in
def forget(request: Request, saved_id: UUID) -> HttpResponse:
    """Delete a saved search and return to the page it was removed from."""
    forgotten = forget_search(actor=request.viewer, saved_id=saved_id)
    messages.success(request, f"Removed {forgotten.name} from your saved searches.")
    back = request.POST.get("back", "")
    is_here = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_here else _address_of(forgotten))


def _address_of(saved: SavedSearch) -> str:
    return f"{reverse('web:search')}?{saved.query}"


def _asked(parameters: QueryDict, *, sort: str = "relevance") -> SearchRequest:
    """The search that the query parameters describe. `sort` is the default order."""
    return SearchRequest(
        q=parameters.get("q", ""),
        filters=facets.chosen(parameters),
        sort=parameters.get("sort") or sort,
        cursor=parameters.get("cursor", ""),
    )


def _page(
    request: Request,
    *,
    route: str = "web:search",
    title: str = "Search",
    sort: str = "relevance",
    saving: SaveForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """One page of results. An invalid filter or sort order is reported with status 400, never ignored.

    `saving` is the form with a rejected name for this search.
    """
    parameters, path = request.GET, reverse(route)
    asked = _asked(parameters, sort=sort)
    context: dict[str, Any] = {"title": title, "asked": asked, "sorts": SORTS, "path": path, "query_help": QUERY_HELP}
    context |= _kept(request, asked, saving)
    try:
        asked, found = first_if_lost(request.viewer, asked)
    except BadRequest as problem:
        context |= {"problem": problem, "start_url": facets.address(path, _only_words(asked))}
        return render(request, "web/search/search.html", context, status=400)
    context |= {
        "asked": asked,
        "page": found,
        "hits": hits(found),
        "facets": facets.facets(found.facets),
        "chips": facets.chips(found.facets, parameters, path),
        "corrections": [
            (correction, facets.changed(parameters, path, q=correction.query)) for correction in found.corrections
        ],
        "first_url": facets.changed(parameters, path),
        "next_url": next_url(found, parameters, path),
        "unfiltered_url": facets.address(path, _only_words(asked)),
    }
    return render(request, "web/search/search.html", context, status=status)


def first_if_lost(viewer: Viewer, asked: SearchRequest) -> tuple[SearchRequest, Page]:
    """The requested page, or the first one when the cursor belongs to another query or to an engine since replaced.

    It does not redirect, because a pasted log can make the address too long for a redirect.
    """
    try:
        return asked, search(viewer, asked)
    except BadCursor:
        first = replace(asked, cursor="")
        page = search(viewer, first)
        return first, replace(page, notices=(*page.notices, LOST))


def _kept(request: Request, asked: SearchRequest, saving: SaveForm | None) -> dict[str, Any]:
    """The viewer's saved searches, and the form to save this one unless it is already saved or cannot be saved."""
    query, saved = query_string(asked), list(visible_saved(request.viewer))
    new = 0 < len(query) <= QUERY_CHARACTERS and query not in [one.query for one in saved]
    if saving is None and new and request.viewer.is_signed_in:
        words = " ".join(asked.q.split())[:NAME_CHARACTERS].strip()
        is_taken = words.lower() in [one.name.lower() for one in saved]
        saving = SaveForm(suggested="" if is_taken else words)
    return {"query": query, "saved": saved, "saving": saving}


def next_url(page: Page, parameters: QueryDict, path: str) -> str:
    return facets.changed(parameters, path, cursor=page.next_cursor) if page.next_cursor else ""


def _only_words(asked: SearchRequest) -> QueryDict:
    words = QueryDict(mutable=True)
    if asked.q:
        words["q"] = asked.q
    return words
