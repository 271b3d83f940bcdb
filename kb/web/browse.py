"""Browsing without a query: famous outages and organizations. The lists are searches and page like searches."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from incidents import scopes
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Status
from kb.search.service import FacetValue, Page, SearchRequest, search
from kb.web import counts
from kb.web.request import Request
from kb.web.search.hits import hits
from kb.web.search.views import next_url, search_or_first_page

VALUES_SHOWN = 12
# The facets offered on the page of famous outages, with their headings.
OUTAGE_FACETS = {"organization": "Organization", "year": "Year", "pattern": "Pattern", "family": "Family"}


@require_safe
def outages(request: Request) -> HttpResponse:
    page, context = incident_list(request, {"origin": [str(Origin.FAMOUS)]})
    context["facets"] = [(name, title, *_split(page.facets[name])) for name, title in OUTAGE_FACETS.items()]
    return render(request, "web/browse/outages.html", context)


@require_safe
def organizations(request: Request) -> HttpResponse:
    return render(request, "web/browse/organizations.html", {"organizations": counts.by_organization(request.viewer)})


@require_safe
def organization(request: Request, slug: str) -> HttpResponse:
    """The incidents at one organization. It is a 404 for viewers who can see none of its incidents."""
    found = scopes.visible_organizations(request.viewer).filter(slug=slug).first()
    if found is None:
        raise Http404
    page, context = incident_list(request, {"organization": [found.name]})
    # The index knows a new name, or a first incident, only a moment later.
    is_behind = not page.total and bool(scopes.count_by_organization(request.viewer, [found]))
    return render(request, "web/browse/organization.html", context | {"organization": found, "is_behind": is_behind})


def incident_list(request: Request, filters: dict[str, list[str]]) -> tuple[Page, dict[str, Any]]:
    """One page of the incidents that match `filters`, newest first, and the template context for the list."""
    search_request = SearchRequest(filters=filters, sort="newest", cursor=request.GET.get("cursor", ""))
    search_request, page = search_or_first_page(request.viewer, search_request)
    return page, {
        "page": page,
        "hits": hits(page),
        "search_request": search_request,
        "first_url": request.path,
        "next_url": next_url(page, request.GET, request.path),
        "unfiltered_url": reverse("web:search"),
        "archived_url": "" if page.total else _archived_url(request.viewer, filters),
    }


def _archived_url(viewer: Viewer, filters: dict[str, list[str]]) -> str:
    """A search for the archived incidents that match `filters`; empty when the viewer can see none."""
    archived = {**filters, "status": [Status.ARCHIVED.value]}
    found = search(viewer, SearchRequest(filters=archived, page_size=1)).total
    return f"{reverse('web:search')}?{urlencode(archived, doseq=True)}" if found else ""


def _split(values: list[FacetValue]) -> tuple[list[FacetValue], list[FacetValue]]:
    """The values shown at once, and those behind "more". Values without incidents are dropped."""
    counted = [value for value in values if value.count]
    return counted[:VALUES_SHOWN], counted[VALUES_SHOWN:]
