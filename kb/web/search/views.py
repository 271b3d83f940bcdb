"""The search page, and the list of all incidents, which is the same page with nothing searched yet."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from kb.search.saved import visible_saved, written
from kb.search.service import BadCursor, BadRequest, Page, SearchRequest, search
from kb.web.request import Request
from kb.web.search import facets
from kb.web.search.forms import SaveForm
from kb.web.search.hits import hits

SORTS = {
    "relevance": "relevance",
    "newest": "newest first",
    "oldest": "oldest first",
    "longest": "longest first",
    "shortest": "shortest first",
    "severity": "severity",
}

# What the page teaches, each an example that can be followed.
QUERY_HELP = (
    ('"connection pool"', "these words, next to each other"),
    ("cache OR queue", "either word"),
    ("deploy -rollback", "the first without the second"),
    ("org:Cloudflare", "incidents of an organization"),
    ("severity:sev1", "sev1 to sev4, or unknown"),
    ("pattern:retry-storm", "incidents that show a pattern"),
    ("family:network", "causes and patterns of a family"),
    ("started:2019..2021", "a year, month or day, or a range of them"),
    ("duration:>6h", "a length of time, or a range such as 30m..6h"),
    ("is:ours", "also famous, imported, public, internal, draft, archived, overdue"),
    ("has:open-actions", "also timeline, lessons, sources, revision, customer-message"),
    ("detected:customer", "alert, customer, staff or outsider"),
    ("mitigation:rollback", "what stopped it"),
    ("service:checkout", "also team:, status: and origin:"),
)


@require_safe
def search_page(request: Request) -> HttpResponse:
    return searched(request)


@require_safe
def incidents(request: Request) -> HttpResponse:
    return searched(request, route="web:incidents", title="Incidents", sort="newest")


def asked_for(parameters: QueryDict, *, sort: str = "relevance") -> SearchRequest:
    """The search that the parameters of an address ask for; `sort` where they name none."""
    return SearchRequest(
        q=parameters.get("q", ""),
        filters=facets.chosen(parameters),
        sort=parameters.get("sort") or sort,
        cursor=parameters.get("cursor", ""),
    )


def searched(
    request: Request,
    *,
    route: str = "web:search",
    title: str = "Search",
    sort: str = "relevance",
    saving: SaveForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """One page of results. A filter or sort that cannot be used is named, and the search is not guessed at.

    `saving` is a name that was refused for this search.
    """
    parameters, path = request.GET, reverse(route)
    asked = asked_for(parameters, sort=sort)
    context: dict[str, Any] = {"title": title, "asked": asked, "sorts": SORTS, "path": path, "query_help": QUERY_HELP}
    context |= _kept(request, asked) | {"saving": saving or SaveForm(asked)}
    try:
        page = search(request.viewer, asked)
    except BadCursor:
        # Made for other words, or before the engine changed: the remedy is the first page.
        return redirect(facets.changed(parameters, path))
    except BadRequest as problem:
        context |= {"problem": problem, "start_url": facets.address(path, _only_words(asked))}
        return render(request, "web/search/search.html", context, status=400)
    context |= {
        "page": page,
        "hits": hits(page.results),
        "facets": facets.facets(page.facets),
        "chips": facets.chips(page.facets, parameters, path),
        "corrections": [
            (correction, facets.changed(parameters, path, q=correction.query)) for correction in page.corrections
        ],
        "first_url": facets.changed(parameters, path),
        "next_url": next_url(page, parameters, path),
        "unfiltered_url": facets.address(path, _only_words(asked)),
    }
    return render(request, "web/search/search.html", context, status=status)


def _kept(request: Request, asked: SearchRequest) -> dict[str, Any]:
    """What the viewer saved, and whether this search is among it or can be."""
    query, saved = written(asked), list(visible_saved(request.viewer))
    can_be_saved = request.viewer.is_signed_in and query and query not in [one.query for one in saved]
    return {"query": query, "saved": saved, "can_be_saved": can_be_saved}


def next_url(page: Page, parameters: QueryDict, path: str) -> str:
    return facets.changed(parameters, path, cursor=page.next_cursor) if page.next_cursor else ""


def _only_words(asked: SearchRequest) -> QueryDict:
    words = QueryDict(mutable=True)
    if asked.q:
        words["q"] = asked.q
    return words
