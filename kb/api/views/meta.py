"""The API about itself: its OpenAPI document, the pages that show it, and addresses that lead nowhere."""

from __future__ import annotations

import sys
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
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from incidents.errors import Missing
from kb.api.base import ApiView
from kb.api.operations import reads
from kb.api.problems import MEDIA_TYPE, handle, problem

# The generator's own tables are filled while it runs, and must be by one thread at a time.
_generating = Lock()


@cache
def _generated() -> dict[str, Any]:
    # It brings Django's whole test kit along, a tenth of the time that a process takes to start.
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)


def openapi() -> dict[str, Any]:
    """The OpenAPI document: the same for everybody, and for as long as the process runs."""
    with _generating:
        return _generated()


class Schema(ApiView):
    @reads("Read this OpenAPI document", answer="Anything")
    def get(self, request: Request) -> Response:
        return Response(openapi())


class HtmlRenderer(JSONRenderer):
    media_type = "text/html"
    format = "html"


class Docs(ApiView):
    """The OpenAPI document to read and to try, served whole from this machine."""

    schema = None
    renderer_classes = [HtmlRenderer, JSONRenderer]

    @method_decorator(ensure_csrf_cookie)
    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "api/docs.html")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What no view could be asked, such as a request to another host: a problem document below /api/v1/, elsewhere a
    page."""
    if not request.path.startswith("/api/v1/"):
        return defaults.bad_request(request, exception)
    refused = problem("invalid", "The request cannot be read. See that its Host is one of this installation.")
    return JsonResponse(refused.data, status=refused.status_code, content_type=MEDIA_TYPE)


def failed(request: HttpRequest) -> HttpResponse:
    """What a page, or anything before a view, did not foresee: a problem document below /api/v1/, elsewhere a page.

    Both tell a database that does not answer (503) from what is broken here (500).
    """
    error = sys.exc_info()[1]
    if request.path.startswith("/api/v1/") and isinstance(error, Exception):
        answer = handle(error, {"request": request})
        headers = {**answer.headers, "Content-Type": MEDIA_TYPE}
        return HttpResponse(JSONRenderer().render(answer.data), status=answer.status_code, headers=headers)
    if isinstance(error, OperationalError):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return defaults.server_error(request)


class Nowhere(ApiView):
    """Every other address under /api/v1/: a problem document, not a page, whoever asks."""

    schema = None
    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise Missing("There is nothing at this address. Addresses have no slash at the end; /api/v1/docs lists them.")
