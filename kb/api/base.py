"""What all views of the API share: the viewer, strict parameters, preconditions, and answers with their entity tags."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from incidents.scopes import Viewer
from kb.api import etags, parameters, throttling
from kb.api.etags import Condition
from kb.api.operations import Operation, operation_of
from kb.api.problems import Refusal


class ApiView(APIView):
    """`signed_in_only`: strangers get 401 even to read. `incident_id` is set by views whose answers tell about one."""

    signed_in_only = False
    incident_id: int | None = None
    body: dict[str, Any]

    @cached_property
    def viewer(self) -> Viewer:
        """Who is asking, as they stood when the request came in."""
        return Viewer.of(self.request.user)

    @property
    def operation(self) -> Operation | None:
        method = self.request.method or ""
        return operation_of(self, "get" if method == "HEAD" else method)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            # Such a body would be read as an empty one.
            raise Refusal("length_required", "Send the body with a Content-Length, not in chunks.")
        if self.operation is not None:
            parameters.check(request.query_params, self.operation.query)

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except exceptions.AuthenticationFailed:
            # Guessing tokens is throttled like any stranger's request, before it is answered.
            if (seconds := throttling.count_refused(request)) is not None:
                raise exceptions.Throttled(seconds) from None
            raise

    def check_permissions(self, request: Request) -> None:
        try:
            super().check_permissions(request)
        except (exceptions.APIException, Refusal):
            # The framework counts what is permitted; what is refused counts as well.
            self.check_throttles(request)
            raise

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Accept", "Authorization", "Cookie"])
        return response

    def condition(self) -> Condition:
        """What If-Match asks for. Raises Refusal (428) when this operation needs one; ask after the thing was found, so
        that nobody learns of things they cannot see."""
        required = self.operation is not None and self.operation.precondition == "required"
        return etags.read(self.request, required=required)

    def address(self, name: str, **parts: Any) -> str:
        """The absolute address of one of this API's routes."""
        return settings.BASE_URL + reverse(f"api:{name}", kwargs=parts)


def answer(body: Any, *, etag: str | None = None, status: int = 200, location: str | None = None) -> Response:
    headers = {**({"ETag": etag} if etag else {}), **({"Location": location} if location else {})}
    return Response(body, status=status, headers=headers)


def page(rows: list[Any], next_address: str | None = None) -> Response:
    return Response({"results": rows, "next": next_address})


def nothing() -> Response:
    """The thing is gone."""
    return Response(status=204)
