"""What all API views share: the viewer, strict parameters, preconditions, and responses with entity tags."""

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
    """`signed_in_only`: anonymous callers get 401 even for reads. `incident_id`: the incident the response is about."""

    signed_in_only = False
    incident_id: int | None = None
    body: dict[str, Any]

    @cached_property
    def viewer(self) -> Viewer:
        """The viewer, resolved once per request."""
        return Viewer.of(self.request.user)

    @property
    def operation(self) -> Operation | None:
        method = self.request.method or ""
        return operation_of(self, "get" if method == "HEAD" else method)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            # Django would read such a body as empty.
            raise Refusal("length_required", "Send the body with a Content-Length header instead of chunked encoding.")
        has_body = request.headers.get("Content-Length", "0") != "0"
        if has_body and request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refusal("unsupported_media_type", "Send the body without Content-Encoding: it is not decompressed.")
        if self.operation is not None:
            parameters.check(request.query_params, self.operation.query)

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except exceptions.AuthenticationFailed:
            # Guessing tokens is throttled like any anonymous request.
            if (seconds := throttling.count_refused(request)) is not None:
                raise exceptions.Throttled(seconds) from None
            raise

    def check_permissions(self, request: Request) -> None:
        try:
            super().check_permissions(request)
        except (exceptions.APIException, Refusal):
            # The framework counts only permitted requests. Refused ones count too.
            self.check_throttles(request)
            raise

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Accept", "Authorization", "Cookie"])
        return response

    def condition(self) -> Condition:
        """The condition in If-Match. Raises Refusal (428) if it is missing and required. Look the object up first, so
        that callers learn nothing about objects they cannot see."""
        required = self.operation is not None and self.operation.precondition == "required"
        return etags.read(self.request, required=required)

    def address(self, name: str, **parts: Any) -> str:
        """The absolute URL of an API route."""
        return settings.BASE_URL + reverse(f"api:{name}", kwargs=parts)


def answer(body: Any, *, etag: str | None = None, status: int = 200, location: str | None = None) -> Response:
    headers = {**({"ETag": etag} if etag else {}), **({"Location": location} if location else {})}
    return Response(body, status=status, headers=headers)


def page(rows: list[Any], next_address: str | None = None, **more: Any) -> Response:
    return Response({"results": rows, "next": next_address, **more})


def no_content() -> Response:
    """204: the object is gone."""
    return Response(status=204)
