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
    if status == 404:
        return render(request, "404.html", {"message": error.message}, status=404)
    return render(request, "web/refused.html", {"message": error.message}, status=status)
