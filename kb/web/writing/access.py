"""Shared by the views under writing/: requiring a sign-in, finding the incident, and answering htmx.

Every other view that saves what users type requires a sign-in in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import zip_longest
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.db import IntegrityError
from django.http import HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from incidents import scopes
from incidents.actions.change import EDITORS_ONLY
from incidents.actions.links import find_visible
from incidents.document import prefetch_parts
from incidents.errors import ActionError, NotAllowed, refusal_of
from incidents.models import Incident
from incidents.zones import zones
from kb.web.errors import error_page
from kb.web.request import Request
from kb.web.writing.inputs import incomplete_form

P = ParamSpec("P")
View = Callable[Concatenate[Request, P], HttpResponse]

# Form fields that do not hold the user's own text: technical ones, the buttons that were pressed, and what was chosen
# about people.
_TECHNICAL_FIELDS = ("csrfmiddlewaretoken", "version", "zone", "fields", "row", "position", "back", "keep")
_BUTTONS = ("over", "take", "settle", "move", "decision", "remove", "let_in", "let_out", "make_admin", "unmake_admin")
_CHOICES = ("user", "team", "role", "as_admin", "time_zone")


def signed_in(view: View[P]) -> View[P]:
    """Require a sign-in. A page redirects to the sign-in page; a POST shows the sent text again, so it is not lost.
    So does a POST that an action refuses for a reason that the view does not handle itself.

    Responses are never cached. A page restored by the Back button would carry old versions, and its next save would
    conflict with the user's own edits.
    """

    @wraps(view)
    @never_cache
    def guarded(request: Request, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.viewer.is_signed_in:
            try:
                return view(request, *args, **kwargs)
            except (ActionError, IntegrityError) as error:
                if (refusal := refusal_of(error)) is None:
                    raise
                return error_page(request, refusal, texts=_texts(request))
        if request.method in ("GET", "HEAD"):
            return redirect_to_login(request.get_full_path(), resolve_url("web:sign-in"))
        return render(request, "web/writing/signed_out.html", {"texts": _texts(request)}, status=401)

    return guarded


def _texts(request: Request) -> list[str]:
    """What the user typed or chose: of fields that came with the value they were opened with, only what differs."""
    sent = request.POST
    return [
        text
        for name, texts in sent.lists()
        if name not in (*_TECHNICAL_FIELDS, *_BUTTONS, *_CHOICES) and not name.startswith(("base-", "seen-"))
        for text, base in zip_longest(texts, sent.getlist(f"base-{name}"), fillvalue="")
        if isinstance(text, str) and text.strip() and text != base
    ]


get_only = require_http_methods(["GET", "HEAD"])
post_only = require_http_methods(["POST"])
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def incident_to_read(request: Request, reference: str) -> Incident:
    """The incident, whole, for reading. Raises Missing when the viewer cannot see it."""
    return find_visible(request.viewer, reference, whole=True)


def incident_with_parts(request: Request, reference: str) -> Incident:
    """Like `incident_to_read`, with all sections and rows loaded, as the answer to a save needs them."""
    incident = incident_to_read(request, reference)
    prefetch_parts(incident)
    return incident


def id_of(request: Request, reference: str) -> int:
    """The incident's primary key. Raises Missing when the viewer cannot see it."""
    return find_visible(request.viewer, reference).pk


def incident_to_edit(request: Request, reference: str) -> Incident:
    """The incident, for editing. Raises Missing when the viewer cannot see it, NotAllowed when they cannot edit it."""
    incident = incident_to_read(request, reference)
    if not scopes.may_edit(request.viewer, incident):
        raise NotAllowed(EDITORS_ONLY)
    return incident


def posted_number(request: Request, name: str) -> int | None:
    """A whole number from the form, such as a version, or None."""
    return parse_number(request.POST.get(name, ""))


def parse_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def opened_version(request: Request) -> int:
    """The version the form was opened with, or the newer one that the user has seen and chose to overwrite.

    Raises Invalid when the form carries neither: without a version, a save could silently overwrite another user's.
    """
    version = posted_number(request, "over") or posted_number(request, "version")
    if version is None:
        raise incomplete_form("version")
    return version


def opened_zone(request: Request, incident: Incident) -> str:
    """The zone in which the form showed its times. The incident's own zone may have changed since."""
    zone = request.POST.get("zone", "")
    return zone if zone in zones() else incident.time_zone


def fragment(request: Request, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Part of a page, for htmx.

    The header tells the editor's script that a response with an error status is a fragment to swap in.
    """
    response = render(request, template, context, status=status)
    response["Precedent-Fragment"] = "yes"
    return response
