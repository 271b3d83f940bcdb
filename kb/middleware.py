"""Around every request: the client's address behind a proxy, a second try when the database went away, and the log."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

GetResponse = Callable[[HttpRequest], HttpResponse]

MORE_TRIES = 2
# Seconds. Whoever waited longer for a connection in vain is told so.
LAST_TRY = 5.0

# Any of these says that somebody passed the request on; who did, and whether that is to be believed, is another matter.
_SIGNS_OF_A_PROXY = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


def asked_again(get_response: GetResponse) -> GetResponse:
    """A request to read whose database connection broke, as when the server restarts, is answered on a new one.

    It has changed nothing, so that nothing is done twice. Any other is left to whoever sent it. A server that goes down
    cuts its connections one after another, so that the next one may break as well. A connection that cannot be had is
    waited for by the pool; that is not done again.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        until = time.monotonic() + LAST_TRY
        response = get_response(request)
        for _ in range(MORE_TRIES):
            if response.status_code < 500 or request.method not in ("GET", "HEAD") or not _connection_broke():
                break
            if time.monotonic() > until:
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

    From an untrusted peer the forwarding headers are dropped, so that nobody chooses their own address or scheme, or
    which trace they belong to. That there were any stays known as `request.was_forwarded`: behind a proxy on this
    machine everybody has its address.

    An IPv4 address that a socket of IPv6 writes its own way (::ffff:192.0.2.7) is written as one of IPv4.
    """
    networks = [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]

    def is_trusted(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in networks)

    def middleware(request: HttpRequest) -> HttpResponse:
        request.was_forwarded = any(name in request.META for name in _SIGNS_OF_A_PROXY)  # type: ignore[attr-defined]
        peer = request.META["REMOTE_ADDR"] = _as_ipv4(request.META.get("REMOTE_ADDR", ""))
        forwarded = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        if is_trusted(peer):
            chain = [_as_ipv4(part.strip()) for part in forwarded.split(",") if part.strip()]
            client = next((part for part in reversed(chain) if not is_trusted(part)), None)
            if client:
                request.META["REMOTE_ADDR"] = client
        else:
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
            request.META.pop("HTTP_TRACEPARENT", None)
        return get_response(request)

    return middleware


def _as_ipv4(address: str) -> str:
    """The address, written as one of IPv4 where it is one."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(getattr(read, "ipv4_mapped", None) or address)


class RequestLog(RequestMiddleware):
    """Two log lines a request, and in every line of its view who asked.

    That is found out as late as it is known which view it is: to resolve anybody takes a query, and views marked with
    `works_without_database` are asked when none is answered.
    """

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.bind_user_id(request)

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        match = request.resolver_match
        if match and not getattr(match.func, "works_without_database", False):
            RequestMiddleware.bind_user_id(request)
