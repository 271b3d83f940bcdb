"""Around every request: the client's address behind a proxy, and a second try when the database went away."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]

MORE_TRIES = 2


def asked_again(get_response: GetResponse) -> GetResponse:
    """A request to read whose database connection broke, as when the server restarts, is answered on a new one.

    It has changed nothing, so that nothing is done twice. Any other is left to whoever sent it. A server that goes down
    cuts its connections one after another, so that the next one may break as well.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for _ in range(MORE_TRIES):
            if response.status_code < 500 or request.method not in ("GET", "HEAD") or not _connection_broke():
                break
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
