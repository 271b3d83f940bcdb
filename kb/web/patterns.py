"""The recurring patterns: a list by family, and a page for each with statistics of the incidents that show it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.cache import cache
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from incidents.vocabulary import Family
from kb.insights.charts import Size, bars_by_year
from kb.insights.patterns import YearCount, by_year, pattern_insight
from kb.patterns.decisions import precision
from kb.patterns.models import Pattern, PatternStatus
from kb.web import counts
from kb.web.browse import incident_list
from kb.web.colours import SCHEMES, colours
from kb.web.request import Request

ROWS_SHOWN = 8
# With fewer years there is no trend to draw.
MIN_YEARS = 2
SIZES = {"wide": Size(720, 180), "narrow": Size(350, 160)}
CACHE_SECONDS = 24 * 60 * 60


@require_safe
def patterns(request: Request) -> HttpResponse:
    """All active patterns by family, in the order of the vocabulary."""
    counted = counts.by_pattern(request.viewer)
    members = {family: [one for one in counted if one.pattern.family == family] for family in Family}
    families = [(family.label, listed) for family, listed in members.items() if listed]
    return render(request, "web/browse/patterns.html", {"families": families, "count": len(counted)})


@require_safe
def pattern(request: Request, slug: str) -> HttpResponse:
    """The page of one pattern. A merged pattern redirects to the one it was merged into, so that old links work."""
    found = _pattern_or_404(slug)
    if found.status == PatternStatus.MERGED and found.merged_into:
        return redirect("web:pattern", found.merged_into.slug)
    _, context = incident_list(request, {"pattern": [found.slug]})
    # Only the first page of the list carries the statistics.
    if not context["search_request"].cursor:
        context |= _insight(request, found)
    return render(request, "web/browse/pattern.html", context | {"pattern": found})


def _insight(request: Request, pattern: Pattern) -> dict[str, Any]:
    found = pattern_insight(request.viewer, pattern)
    return {
        "insight": found,
        "trend": _in_words(found.by_year) if len(found.by_year) >= MIN_YEARS else "",
        "sizes": SIZES,
        "lists": {
            name: (rows[:ROWS_SHOWN], rows[ROWS_SHOWN:])
            for name, rows in (
                ("organizations", found.organizations),
                ("together", found.together),
                ("mitigations", found.mitigations),
            )
        },
        "precision": precision(request.viewer, pattern),
    }


def _in_words(years: Sequence[YearCount]) -> str:
    """The trend in one sentence, as the alternative text of the drawing."""
    most = max(years, key=lambda one: one.incidents)
    return f"Incidents per year from {years[0].year} to {years[-1].year}. The peak was {most.incidents} in {most.year}."


@require_safe
def trend(request: Request, slug: str) -> HttpResponseBase:
    """An SVG chart of incidents per year, counting those the viewer can see.

    Query parameters: `scheme` is "light" or "dark", `size` is "wide" or "narrow".
    """
    scheme, size = request.GET.get("scheme", "light"), request.GET.get("size", "wide")
    if scheme not in SCHEMES or size not in SIZES:
        raise Http404
    years = [(one.year, one.incidents) for one in by_year(request.viewer, _pattern_or_404(slug))]
    if len(years) < MIN_YEARS:
        raise Http404
    tokens = colours(scheme)
    chart_colours = {"bars": tokens["accent"], "lines": tokens["line-strong"], "text": tokens["ink-2"]}
    # The drawing depends on nothing else, so viewers who see the same numbers share one cached drawing.
    chart_input = json.dumps([years, asdict(SIZES[size]), chart_colours])
    key = hashlib.sha256(chart_input.encode()).hexdigest()

    def draw() -> str:
        return bars_by_year(years, SIZES[size], chart_colours)

    etag = f'"{key}"'
    if unchanged := get_conditional_response(request, etag=etag):
        return unchanged
    drawing = cache.get_or_set(f"trend:{key}", draw, CACHE_SECONDS)
    return HttpResponse(drawing, content_type="image/svg+xml", headers={"ETag": etag})


def _pattern_or_404(slug: str) -> Pattern:
    found = Pattern.objects.select_related("merged_into").filter(slug=slug).first()
    if found is None:
        raise Http404
    return found
