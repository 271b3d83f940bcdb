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
from kb.search.query import any_of_the_words
from kb.search.saved import NAME_CHARACTERS, QUERY_CHARACTERS, forget_search, query_string, save_search, visible_saved
from kb.search.service import BadCursor, BadRequest, Page, SearchRequest, search
from kb.web.people.forms import BAD_REQUEST, run_action
from kb.web.request import Request
from kb.web.search import facets
from kb.web.search.forms import SaveForm
from kb.web.search.hits import hits
from kb.web.writing.access import get_only, get_or_post, post_only, signed_in

SORTS = {
    "relevance": "Relevance",
    "newest": "Newest first",
    "oldest": "Oldest first",
    "longest": "Longest first",
    "shortest": "Shortest first",
    "severity": "Severity",
}
PAGE_LOST = "That page of results is no longer available. This is the first page."

# With so few incidents that contain all of the words, the right one may lack one of them.
FEW = 3

# Examples of the query language that the page explains. Each is a link to its search.
QUERY_HELP = (
    ('"connection pool"', "these words as a phrase"),
    ("cache OR queue", "either word"),
    ("deploy -rollback", "the first word but not the second"),
    ("(dns OR bgp) -severity:sev3", "either word, without what a field finds"),
    ("org:Cloudflare", "incidents at an organization"),
    ("severity:sev1", "sev1 to sev4, or unknown"),
    ("pattern:retry-storm", "incidents that show a pattern"),
    ("family:network", "causes and patterns in a family"),
    ("started:2019..2021", "a year, month or day, or a range"),
    ("duration:>6h", "a duration, or a range such as 30m..6h"),
    ("is:ours", "also famous, imported, public, internal, team, draft, in-review, published, archived, overdue"),
    ("has:open-actions", "also timeline, causes, lessons, actions, sources, patterns, revision, customer-message"),
    ("detected:customer", "alert, customer, staff or outsider"),
    ("mitigation:rollback", "how it was mitigated"),
    ("service:checkout", "also team:, status:, origin: and ref:"),
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
        saved = run_action(form, partial(_save_search, request, form)) if form.is_valid() else None
    except BadRequest:
        # The page shows which part of the search is invalid.
        return _page(request)
    if saved is None:
        return _page(request, saving=form, status=BAD_REQUEST)
    messages.success(request, f"Saved as {saved.name}.")
    return redirect(_address_of(saved))


def _save_search(request: Request, form: SaveForm) -> SavedSearch:
    return save_search(actor=request.viewer, name=form.cleaned_data["name"], request=_search_request(request.GET))


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


def _search_request(parameters: QueryDict, *, sort: str = "relevance") -> SearchRequest:
    """The search that the query parameters describe. `sort` is the default order."""
    return SearchRequest(
        q=parameters.get("q", ""),
        filters=facets.selected_values(parameters),
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
    search_request = _search_request(parameters, sort=sort)
    context: dict[str, Any] = {
        "title": title,
        "search_request": search_request,
        "sorts": SORTS,
        "path": path,
        "query_help": QUERY_HELP,
    }
    context |= _saved_searches(request, search_request, saving)
    try:
        search_request, found = search_or_first_page(request.viewer, search_request)
    except BadRequest as problem:
        context |= {"problem": problem, "start_url": facets.address(path, _without_filters(search_request))}
        return render(request, "web/search/search.html", context, status=400)
    context |= {
        "search_request": search_request,
        "page": found,
        "hits": hits(found),
        "facets": facets.facets(found.facets),
        "chips": facets.chips(found.facets, parameters, path),
        "corrections": _corrections(found, parameters, path),
        "first_url": facets.url_with(parameters, path),
        "next_url": next_url(found, parameters, path),
        "looser_url": _looser(found, parameters, path),
        "unfiltered_url": facets.address(path, _without_filters(search_request)),
    }
    return render(request, "web/search/search.html", context, status=status)


def _corrections(found: Page, parameters: QueryDict, path: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each reason to correct the query, the suggestions and the addresses that search for them."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for one in found.corrections:
        suggestion = (one.suggestion, facets.url_with(parameters, path, q=one.query))
        by_reason.setdefault(one.reason, []).append(suggestion)
    return list(by_reason.items())


def _looser(found: Page, parameters: QueryDict, path: str) -> str:
    """If only few incidents contain all of the words, perhaps by accident: the address of those that contain any."""
    query = any_of_the_words(found.parsed) if 0 < found.total <= FEW and not found.relaxed else ""
    return facets.url_with(parameters, path, q=query) if query else ""


def search_or_first_page(viewer: Viewer, search_request: SearchRequest) -> tuple[SearchRequest, Page]:
    """The requested page, or the first one when the cursor belongs to another query or to an engine since replaced.

    It does not redirect, because a pasted log can make the address too long for a redirect.
    """
    try:
        return search_request, search(viewer, search_request)
    except BadCursor:
        first = replace(search_request, cursor="")
        page = search(viewer, first)
        return first, replace(page, notices=(*page.notices, PAGE_LOST))


def _saved_searches(request: Request, search_request: SearchRequest, saving: SaveForm | None) -> dict[str, Any]:
    """The viewer's saved searches, and the form to save this one unless it is already saved or cannot be saved."""
    query, saved = query_string(search_request), list(visible_saved(request.viewer))
    new = 0 < len(query) <= QUERY_CHARACTERS and query not in [one.query for one in saved]
    if saving is None and new and request.viewer.is_signed_in:
        words = " ".join(search_request.q.split())[:NAME_CHARACTERS].strip()
        is_taken = words.lower() in [one.name.lower() for one in saved]
        saving = SaveForm(suggested="" if is_taken else words)
    return {"query": query, "saved": saved, "saving": saving}


def next_url(page: Page, parameters: QueryDict, path: str) -> str:
    return facets.url_with(parameters, path, cursor=page.next_cursor) if page.next_cursor else ""


def _without_filters(search_request: SearchRequest) -> QueryDict:
    words = QueryDict(mutable=True)
    if search_request.q:
        words["q"] = search_request.q
    return words
