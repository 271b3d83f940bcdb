"""The OpenAPI document, the page that displays it, and the answers to unknown URLs and failed requests."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.decorators import method_decorator
from django.views import defaults
from django.views.decorators.csrf import ensure_csrf_cookie
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from incidents.errors import Missing
from kb.api.base import ApiView
from kb.api.operations import reads
from kb.api.problems import MEDIA_TYPE, handle, problem

# The generator fills its own global tables while it runs, so only one thread may run it at a time.
_generating = Lock()


@cache
def _generated() -> dict[str, Any]:
    # Imported late: it pulls in Django's test framework, which would add a tenth to the start-up time of a process.
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)


def openapi() -> dict[str, Any]:
    """The OpenAPI document. The same for every caller, and generated once per process."""
    with _generating:
        return _generated()


class Schema(ApiView):
    @reads("Get the OpenAPI document", description="Returns this document.", answer="Anything")
    def get(self, request: Request) -> Response:
        return Response(openapi())


class HtmlRenderer(JSONRenderer):
    media_type = "text/html"
    format = "html"


class Docs(ApiView):
    """The OpenAPI document as a page for reading and trying it out. Loads nothing from other hosts."""

    schema = None
    renderer_classes = [HtmlRenderer, JSONRenderer]

    @method_decorator(ensure_csrf_cookie)
    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "api/docs.html")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Handler for requests that reach no view, such as ones with an unknown Host: a problem document under /api/v1/, a
    page elsewhere."""
    if not request.path.startswith("/api/v1/"):
        return defaults.bad_request(request, exception)
    refused = problem("invalid", "The request cannot be read. Check that its Host header names this installation.")
    return JsonResponse(refused.data, status=refused.status_code, content_type=MEDIA_TYPE)


def failed(request: HttpRequest) -> HttpResponse:
    """Handler for uncaught exceptions in pages and middleware: a problem document under /api/v1/, a page elsewhere.

    Both distinguish an unavailable database (503) from a fault in the application (500).
    """
    error = sys.exc_info()[1]
    if request.path.startswith("/api/v1/") and isinstance(error, Exception):
        answer = handle(error, {"request": request})
        headers = {**answer.headers, "Content-Type": MEDIA_TYPE}
        return HttpResponse(JSONRenderer().render(answer.data), status=answer.status_code, headers=headers)
    if isinstance(error, OperationalError):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return defaults.server_error(request)


class UnknownUrl(ApiView):
    """Every other URL under /api/v1/: a 404 problem document instead of a page, for every caller."""

    schema = None
    permission_classes = ()

    def perform_authentication(self, request: Request) -> None:
        """Find out whose request to count, and nothing else."""
        with suppress(APIException):
            super().perform_authentication(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise Missing(
            "There is nothing at this URL. URLs have no trailing slash, and the reference of an incident looks like "
            "INC-12; /api/v1/docs lists them all."
        )
