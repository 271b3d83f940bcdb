"""Around every request: the client's address behind a proxy, and a second try when the database went away."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


def asked_again(get_response: GetResponse) -> GetResponse:
    """A request to read whose database connection broke, as when the server restarts, is answered on a new one.

    It has changed nothing, so that nothing is done twice. Any other is left to whoever sent it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code >= 500 and request.method in ("GET", "HEAD") and _connection_broke():
            connection.close()
            response = get_response(request)
        return response

    return middleware


def _connection_broke() -> bool:
    return connection.errors_occurred and (connection.connection is None or not connection.is_usable())


def trusted_proxy(get_response: GetResponse) -> GetResponse:
    """Believe a proxy only when it is one we were told to trust.

    Sets REMOTE_ADDR to the last address in X-Forwarded-For that is no trusted proxy.

    From an untrusted peer the forwarding headers are dropped, so that nobody chooses their own address or scheme.
    """
    networks = [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]

    def is_trusted(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            return False
        return any(address in network for network in networks)

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        forwarded = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        if is_trusted(peer):
            chain = [part.strip() for part in forwarded.split(",") if part.strip()]
            client = next((part for part in reversed(chain) if not is_trusted(part)), None)
            if client:
                request.META["REMOTE_ADDR"] = client
        else:
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return get_response(request)

    return middleware
