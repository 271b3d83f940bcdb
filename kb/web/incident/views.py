"""The page of one incident."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from incidents import scopes
from incidents.actions.links import find_visible
from incidents.document import read, with_everything
from kb.web.incident.page import incident_page
from kb.web.request import Request


@require_safe
def incident(request: Request, reference: str) -> HttpResponse:
    """At /incidents/INC-12; a number, a UUID and other spellings lead there. `?zone=UTC` tells all times in UTC."""
    found = find_visible(request.viewer, reference)
    if reference != found.ref:
        return redirect("web:incident", found.ref)
    everything = with_everything(scopes.visible_incidents(request.viewer))
    in_utc = request.GET.get("zone") == "UTC"
    own_zone = timezone.get_current_timezone()
    with timezone.override(ZoneInfo("UTC") if in_utc else own_zone):
        page = incident_page(read(everything.get(pk=found.pk), request.viewer), request.viewer)
        context: dict[str, Any] = {"page": page, "incident": page.document, "in_utc": in_utc, "own_zone": str(own_zone)}
        return render(request, "web/incident/incident.html", context)
