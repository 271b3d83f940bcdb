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
    return show(request, found, asked_why=request.GET.get("why", ""))


def show(
    request: Request,
    found: Incident,
    *,
    asked_why: str = "",
    rejecting: RejectForm | None = None,
    adding: AddForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of an incident that the viewer can read.

    `rejecting`, for the pattern `asked_why`, and `adding` are forms with errors to show again.
    """
    in_utc = request.GET.get("zone") == "UTC"
    own_zone = timezone.get_current_timezone()
    with timezone.override(ZoneInfo("UTC") if in_utc else own_zone):
        reading = read(found, request.viewer)
        page = incident_page(reading, request.viewer, asked_why=asked_why)
        context: dict[str, Any] = {
            "page": page,
            "incident": page.document,
            "in_utc": in_utc,
            "own_zone": str(own_zone),
            "asked": (page.why.tag, rejecting or RejectForm(slug=asked_why)) if page.why else None,
            "others": [
                (tag, RejectForm(slug=tag.slug)) for tag in page.tags.all if not (page.why and tag == page.why.tag)
            ],
            "adding": adding or (AddForm(choices=page.tags.addable) if page.tags.addable else None),
        }
        return render(request, "web/incident/incident.html", context, status=status)
