"""Middleware for every request: the client's address behind a proxy, retries when the database went away, and logs."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from kb.addresses import Address, parse

GetResponse = Callable[[HttpRequest], HttpResponse]

MAX_RETRIES = 2
# Seconds after which a request is not retried: its client has waited long enough, and gets the error.
RETRY_SECONDS = 5.0

# Any of these means that the request was forwarded, though not by whom, nor whether the header can be trusted.
_SIGNS_OF_A_PROXY = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


def retry_broken_connections(get_response: GetResponse) -> GetResponse:
    """Retry a read on a new database connection when its connection broke, as when the server restarts.

    A read changes nothing, so repeating it is safe; any other request is left to its client. There are several retries
    because a server that shuts down cuts its connections one after another, so the next one may break as well. Waiting
    for a connection is the pool's task and is not repeated.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        until = time.monotonic() + RETRY_SECONDS
        response = get_response(request)
        for _ in range(MAX_RETRIES):
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
    """Accept forwarding headers only from the proxies in TRUSTED_PROXIES.

    Sets REMOTE_ADDR to the last address in X-Forwarded-For that is not a trusted proxy. What is left of something that
    is no address was not written by a proxy either, and is not looked at.

    From an untrusted peer the forwarding headers are dropped, so that clients cannot choose their own address, scheme
    or trace. `request.was_forwarded` still says whether there were any: behind a proxy on this machine, every client
    seems to be local.

    An IPv4 address in IPv6 notation (::ffff:192.0.2.7) is rewritten as IPv4.
    """
    networks = [ipaddress.ip_network(text, strict=False) for text in settings.TRUSTED_PROXIES]

    def is_trusted(address: Address) -> bool:
        return any(address in network for network in networks)

    def middleware(request: HttpRequest) -> HttpResponse:
        request.was_forwarded = any(name in request.META for name in _SIGNS_OF_A_PROXY)  # type: ignore[attr-defined]
        peer = parse(request.META.get("REMOTE_ADDR", ""))
        if peer is not None:
            request.META["REMOTE_ADDR"] = str(peer)
        forwarded = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        if peer is not None and is_trusted(peer):
            written = (parse(part) for part in reversed(forwarded.split(",")) if part.strip())
            client = next((part for part in written if part is None or not is_trusted(part)), None)
            request.META["REMOTE_ADDR"] = str(client or peer)
        else:
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
            request.META.pop("HTTP_TRACEPARENT", None)
        return get_response(request)

    return middleware


class RequestLog(RequestMiddleware):
    """Logs two lines per request, and adds the user's id to every line that its view logs.

    Query strings are left out, because they hold what people search for. The address is the one that trusted_proxy
    determined; the library would believe other headers, which any client can send.

    The user is resolved only when the view is known: resolving takes a query, and views marked with
    `works_without_database` have to answer when the database does not.
    """

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.bind_user_id(request)

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        match = request.resolver_match
        if match and not getattr(match.func, "works_without_database", False):
            RequestMiddleware.bind_user_id(request)

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=request.META.get("REMOTE_ADDR", ""))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.get_full_path().partition('?')[0]}"
