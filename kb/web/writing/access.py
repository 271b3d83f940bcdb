"""The way in to everything under writing/: who is signed in, which incident is meant, and answers to htmx."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from incidents import scopes
from incidents.actions.change import EDITORS_ONLY
from incidents.actions.links import find_visible
from incidents.document import read_parts
from incidents.errors import NotAllowed
from incidents.models import Incident
from incidents.zones import zones
from kb.web.request import Request
from kb.web.writing.inputs import incomplete

P = ParamSpec("P")
View = Callable[Concatenate[Request, P], HttpResponse]

# Parts of a form that are no text of the person who sent it.
_MACHINERY = ("csrfmiddlewaretoken", "version", "zone", "over", "fields")


def signed_in(view: View[P]) -> View[P]:
    """Only for who is signed in. A page leads to signing in; what was sent meanwhile is shown again, not lost.

    Nothing of it is stored: a page that Back shows from the past has versions of the past, and accuses its reader of
    writing over themselves.
    """

    @wraps(view)
    @never_cache
    def guarded(request: Request, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.viewer.is_signed_in:
            return view(request, *args, **kwargs)
        if request.method in ("GET", "HEAD"):
            return redirect_to_login(request.get_full_path(), resolve_url("web:sign-in"))
        return render(request, "web/writing/signed_out.html", {"kept": _texts(request)}, status=401)

    return guarded


def _texts(request: Request) -> list[str]:
    return [
        text
        for name, texts in request.POST.lists()
        if name not in _MACHINERY and not name.startswith("base-")
        for text in texts
        if isinstance(text, str) and text.strip()
    ]


page = require_http_methods(["GET", "HEAD"])
step = require_http_methods(["POST"])
page_and_step = require_http_methods(["GET", "HEAD", "POST"])


def incident_named(request: Request, reference: str) -> Incident:
    """To read, for a viewer who may see it. Raises Missing."""
    return find_visible(request.viewer, reference, whole=True)


def incident_with_parts(request: Request, reference: str) -> Incident:
    """The same, its sections and rows read together: for an answer that draws some and says what is missing."""
    incident = incident_named(request, reference)
    read_parts(incident)
    return incident


def id_of(request: Request, reference: str) -> int:
    """Raises Missing for what the viewer may not see."""
    return find_visible(request.viewer, reference).pk


def incident_to_edit(request: Request, reference: str) -> Incident:
    """Raises Missing for who may not see it, NotAllowed for who may only read it."""
    incident = incident_named(request, reference)
    if not scopes.may_edit(request.viewer, incident):
        raise NotAllowed(EDITORS_ONLY)
    return incident


def number_in(request: Request, name: str) -> int | None:
    """A whole number that a form carries, such as a version; None when it carries none."""
    return number(request.POST.get(name, ""))


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def version_opened(request: Request) -> int:
    """The version that a form was opened with, or the newer one that its writer has since seen and saves over.

    Raises Invalid when the form carries none: without it nobody could tell whose text would be lost.
    """
    version = number_in(request, "over") or number_in(request, "version")
    if version is None:
        raise incomplete("version")
    return version


def zone_opened(request: Request, incident: Incident) -> str:
    """The zone in which a form showed its times: the incident's may be another one by now."""
    zone = request.POST.get("zone", "")
    return zone if zone in zones() else incident.time_zone


def fragment(request: Request, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A piece of a page for htmx. The header tells the editor's script that an answer with an error code is ours."""
    response = render(request, template, context, status=status)
    response["Precedent-Fragment"] = "yes"
    return response
