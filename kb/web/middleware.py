"""Sets the viewer and the time zone of each request, and turns errors raised by actions into pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.functional import SimpleLazyObject

from incidents.errors import refusal_of
from incidents.models import User
from incidents.scopes import Viewer
from kb.web import errors

GetResponse = Callable[[HttpRequest], HttpResponse]


class ViewerAndTimeZone:
    """Gives each request its `viewer`, and activates the time zone of the signed-in user.

    For views marked with `works_without_database` no zone is activated, because resolving the user takes a query.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.viewer = SimpleLazyObject(lambda: Viewer.of(request.user))  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
            if isinstance(response, HttpResponseNotAllowed) and request.method in ("GET", "HEAD"):
                response = errors.post_only_page(request, response)
        finally:
            timezone.deactivate()
        if "Cache-Control" not in response:
            # Access can change at any moment, so a stored copy has to be revalidated before it is shown again.
            patch_cache_control(response, private=True, no_cache=True)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not getattr(view, "works_without_database", False) and isinstance(request.user, User):
            try:
                timezone.activate(ZoneInfo(request.user.time_zone))
            except (ZoneInfoNotFoundError, ValueError):
                # A zone that is missing from this machine's database must not lock the user out. UTC always works.
                timezone.activate(ZoneInfo("UTC"))
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        refusal = refusal_of(exception)
        return errors.error_page(request, refusal) if refusal else None


viewer_and_time_zone = ViewerAndTimeZone
