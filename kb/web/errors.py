"""What an action refuses, as a page: for what a form does not show beside what was written."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from incidents.errors import ActionError, Invalid, Missing, NotAllowed

STATUS: dict[type[ActionError], int] = {Missing: 404, NotAllowed: 403, Invalid: 400}
CONFLICT = 409


def refused(request: HttpRequest, error: ActionError) -> HttpResponse:
    """The page for a refusal: 404 for what is missing or hidden, which are never told apart."""
    status = STATUS.get(type(error), CONFLICT)
    page = f"{status}.html" if status in (403, 404) else "web/refused.html"
    return render(request, page, {"message": error.message}, status=status)


def only_for_forms(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The page for an address that is only posted to. A refused form leaves it in the address bar."""
    page = render(request, "405.html", status=response.status_code)
    page["Allow"] = response["Allow"]
    return page
