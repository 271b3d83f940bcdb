"""Has this happened before? The panel of similar incidents next to an incident, loaded after the page itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from incidents.actions.links import find_visible
from incidents.durations import in_words
from kb.search.results import Result
from kb.search.similar import similar
from kb.web.request import Request


@dataclass(frozen=True, slots=True)
class Line:
    result: Result
    year: str
    reasons: str


@require_safe
def similar_to(request: Request, reference: str) -> HttpResponse:
    """The panel alone for htmx, otherwise a page of its own."""
    found = find_visible(request.viewer, reference)
    lines = [
        Line(
            one.result,
            str(one.result.started_at.year) if one.result.started_at else "",
            _reasons(one.result, one.reasons),
        )
        for one in similar(request.viewer, found)
    ]
    template = "web/incident/similar_panel.html" if request.htmx else "web/incident/similar_page.html"
    return render(request, template, {"incident": found, "lines": lines})


def _reasons(result: Result, reasons: list[str]) -> str:
    words = "; ".join(reasons)
    if not result.duration_seconds:
        return words
    # The duration comes first, because after the last reason it could read as part of it.
    lasted = in_words(result.duration_seconds).replace(" ", "\N{NO-BREAK SPACE}")
    return f"lasted {lasted}; {words}"
