"""What operators watch: /healthz and /metrics. Both answer in bounded time, whatever else does not.

Strangers learn only whether it works. Admins, by session or token, see every part; scrapers see numbers.
"""

from __future__ import annotations

import hmac
import ipaddress
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, cast

import structlog
from celery import current_app
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request as ApiRequest
from rest_framework.settings import api_settings

from incidents import outbox
from incidents.scopes import ANONYMOUS, Viewer
from kb.search.service import SearchRequest, search

log = structlog.get_logger(__name__)

# A check that takes longer counts as failed; a load balancer asks every few seconds.
SECONDS_PER_CHECK = 2.0

Check = Callable[[], dict[str, Any]]


def works_without_database(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Nothing before the view may need the database: it is what the view reports on."""
    view.works_without_database = True  # type: ignore[attr-defined]
    return view


@works_without_database
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """{"ok": true}, or 503 when the database does not answer; each part in turn for admins."""
    database = bounded(_database)
    report: dict[str, Any] = {"ok": database["ok"]}
    if database["ok"] and _viewer(request).is_admin:
        report |= {"database": database, "broker": bounded(_broker), "engine": bounded(_engine), **_index()}
    return JsonResponse(report, status=200 if report["ok"] else 503, headers={"Cache-Control": "no-store"})


@works_without_database
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In the exposition format of Prometheus, for METRICS_TOKEN as a bearer or from this machine; for others, 404.

    What a proxy passes on is not from this machine, wherever the proxy runs.
    """
    if not _may_scrape(request):
        return HttpResponse(status=404)
    response = ExportToDjangoView(request)
    # Asked first, because the pool waits longer for a database that is away than a scraper does.
    if bounded(_database)["ok"]:
        response.content += _outbox_metrics()
    return response


def bounded(check: Check, *, seconds: float = SECONDS_PER_CHECK) -> dict[str, Any]:
    """What `check` says, with "ok"; or why it said nothing in time. One that hangs is left to its own time limit."""
    answer: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put({"ok": True, **check()})
        except Exception as error:
            log.warning("healthz.check_failed", check=check.__name__, error=str(error)[:500])
            answer.put({"ok": False, "error": type(error).__name__})
        finally:
            connection.close()

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.get(timeout=seconds)
    except queue.Empty:
        return {"ok": False, "error": f"no answer within {seconds:g} s"}


def _database() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"engine": connection.vendor}


def _broker() -> dict[str, Any]:
    with current_app.connection_for_write(connect_timeout=SECONDS_PER_CHECK / 2) as broker:
        broker.ensure_connection(max_retries=1, timeout=SECONDS_PER_CHECK / 2)
        return {"transport": broker.transport_cls}


def _engine() -> dict[str, Any]:
    """A real search, as a stranger would make it. Answered by the stand-in, it is not well."""
    page = search(ANONYMOUS, SearchRequest(page_size=1))
    return {"ok": not page.degraded, "name": page.engine, "degraded": page.degraded, "took_ms": page.took_ms}


def _index() -> dict[str, Any]:
    """How far each engine is behind the record."""
    depths = outbox.depths()
    return {
        "outbox": [asdict(depth) for depth in depths],
        "parked": sum(depth.parked for depth in depths),
    }


def _viewer(request: HttpRequest) -> Viewer:
    """By session or token, as REST would know them; somebody with a bad token is nobody."""
    try:
        classes = cast(list[type[BaseAuthentication]], api_settings.DEFAULT_AUTHENTICATION_CLASSES)
        authenticators = [authenticator() for authenticator in classes]
        return Viewer.of(ApiRequest(request, authenticators=authenticators).user)
    except (APIException, DatabaseError):
        return ANONYMOUS


def _may_scrape(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    if request.was_forwarded:  # type: ignore[attr-defined]
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


# What `outbox.Depth` says, by its name there.
_GAUGES = {
    "waiting": "Entries waiting for the consumer",
    "lag_seconds": "Age of the oldest waiting entry",
    "retrying": "Waiting entries that have been rejected at least once",
    "tries": "Most rejections of any waiting entry",
    "parked": "Entries parked after repeated rejections",
    "paused": "1 while the consumer's service is unreachable",
}


def _outbox_metrics() -> bytes:
    """Read at each scrape: the counts live in the database, not in this process."""
    try:
        return generate_latest(_Depths(outbox.depths()))
    except DatabaseError as error:
        log.warning("metrics.outbox_unreadable", error=type(error).__name__)
        return b""


class _Depths(Collector):
    """Not the library's gauges: they write what they are told to files, which every later scrape reads as well."""

    def __init__(self, depths: list[outbox.Depth]) -> None:
        self._depths = depths

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, about in _GAUGES.items():
            family = GaugeMetricFamily(f"precedent_outbox_{name}", about, labels=["consumer"])
            for depth in self._depths:
                family.add_metric([depth.consumer], getattr(depth, name))
            yield family
