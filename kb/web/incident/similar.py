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
    lasted: str
    reasons: list[str]


@require_safe
def similar_to(request: Request, reference: str) -> HttpResponse:
    """The panel alone for htmx, otherwise a page of its own."""
    found = find_visible(request.viewer, reference)
    lines = [
        Line(
            one.result,
            str(one.result.started_at.year) if one.result.started_at else "",
            _lasted(one.result),
            one.reasons,
        )
        for one in similar(request.viewer, found)
    ]
    template = "web/incident/similar_panel.html" if request.htmx else "web/incident/similar_page.html"
    return render(request, template, {"incident": found, "lines": lines})


def _lasted(result: Result) -> str:
    seconds = result.duration_seconds
    return in_words(seconds).replace(" ", "\N{NO-BREAK SPACE}") if seconds else ""
