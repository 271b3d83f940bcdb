"""The page of one incident."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from incidents.actions.links import find_visible
from incidents.document import read
from incidents.models import Incident
from kb.web.incident.forms import AddForm, RejectForm
from kb.web.incident.page import incident_page
from kb.web.request import Request


@require_safe
def incident(request: Request, reference: str) -> HttpResponse:
    """The page at /incidents/INC-12. A number, a UUID or another spelling of the reference redirects there.

    `?zone=UTC` shows all times in UTC. `?why=<pattern>` marks the sentences that show the pattern.
    """
    found = find_visible(request.viewer, reference, whole=True)
    if reference != found.ref:
        return redirect("web:incident", found.ref)
    return show(request, found, why_slug=request.GET.get("why", ""))


def show(
    request: Request,
    found: Incident,
    *,
    why_slug: str = "",
    rejecting: RejectForm | None = None,
    adding: AddForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of an incident that the viewer can read.

    `rejecting`, for the pattern `why_slug`, and `adding` are forms with errors to show again.
    """
    in_utc = request.GET.get("zone") == "UTC"
    own_zone = timezone.get_current_timezone()
    with timezone.override(ZoneInfo("UTC") if in_utc else own_zone):
        reading = read(found, request.viewer)
        page = incident_page(reading, request.viewer, why_slug=why_slug)
        context: dict[str, Any] = {
            "page": page,
            "incident": page.document,
            "in_utc": in_utc,
            "own_zone": str(own_zone),
            "explained": (page.why.tag, rejecting or RejectForm(slug=why_slug)) if page.why else None,
            "other_tags": [
                (tag, RejectForm(slug=tag.slug)) for tag in page.tags.all if not (page.why and tag == page.why.tag)
            ],
            "adding": adding or (AddForm(choices=page.tags.addable) if page.tags.addable else None),
        }
        return render(request, "web/incident/incident.html", context, status=status)
