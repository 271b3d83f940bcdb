"""Pages for errors raised by actions, where no form can show the error next to what was typed."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from incidents.actions.links import find_visible
from incidents.errors import ActionError, Invalid, Missing, NotAllowed
from incidents.models import Incident

STATUS: dict[type[ActionError], int] = {Missing: 404, NotAllowed: 403, Invalid: 400}
CONFLICT = 409


def error_page(request: HttpRequest, error: ActionError, *, texts: Sequence[str] = ()) -> HttpResponse:
    """The page for an action's error. What is missing and what is hidden give the same 404.

    `texts` are what the user sent, to be copied from the page because it could not be saved.
    """
    status = STATUS.get(type(error), CONFLICT)
    page = f"{status}.html" if status in (403, 404) else "web/refused.html"
    # Signing in may reveal what is hidden, but not a link that has expired, which has a message of its own.
    context = {
        "message": error.message,
        "may_be_hidden": error.message == Missing.DEFAULT,
        "texts": texts,
        "incident": _incident_above(request),
    }
    return render(request, page, context, status=status)


def post_only_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The 405 page for a GET of a POST-only address, which a rejected form can leave in the address bar."""
    page = render(request, "405.html", {"incident": _incident_above(request)}, status=response.status_code)
    page["Allow"] = response["Allow"]
    return page


def _incident_above(request: HttpRequest) -> Incident | None:
    """The incident that the address is below, to lead back to. None when there is none that the viewer can see."""
    reference = request.resolver_match.kwargs.get("reference") if request.resolver_match else None
    if reference is None:
        return None
    try:
        return find_visible(request.viewer, reference)  # type: ignore[attr-defined]
    except Missing:
        return None
