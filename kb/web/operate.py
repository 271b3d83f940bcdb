"""The endpoints for operators, /healthz and /metrics. Both answer in bounded time, even when a dependency hangs.

Anonymous callers learn only whether the service works. Admins, by session or token, see the state of every part.
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

# A check that takes longer counts as failed. Kept short, because load balancers poll every few seconds.
SECONDS_PER_CHECK = 2.0

Check = Callable[[], dict[str, Any]]


def works_without_database(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Mark a view that must work without the database, because it reports on it. Middleware makes no queries for it."""
    view.works_without_database = True  # type: ignore[attr-defined]
    return view


@works_without_database
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answers {"ok": true}, or 503 when the database does not respond. Admins also get the state of each part."""
    database = run_check(_database)
    report: dict[str, Any] = {"ok": database["ok"]}
    if database["ok"] and _viewer(request).is_admin:
        report |= {"database": database, "broker": run_check(_broker), "engine": run_check(_engine), **_index()}
    return JsonResponse(report, status=200 if report["ok"] else 503, headers={"Cache-Control": "no-store"})


@works_without_database
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics in the Prometheus exposition format. 404 unless the request is local or has METRICS_TOKEN as its bearer.

    A request forwarded by a proxy does not count as local, even when the proxy runs on this machine.
    """
    if not _may_scrape(request):
        return HttpResponse(status=404)
    response = ExportToDjangoView(request)
    # Check first, because the connection pool waits longer for an unreachable database than a scraper does.
    if run_check(_database)["ok"]:
        response.content += _outbox_metrics()
    return response


def run_check(check: Check, *, seconds: float = SECONDS_PER_CHECK) -> dict[str, Any]:
    """The result of `check` with "ok" added, or {"ok": False, "error": ...} when it fails or takes too long.

    It runs in a daemon thread of its own. One that hangs is abandoned, and ends at its own timeout.
    """
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
    """Run a real anonymous search. An answer from the fallback engine counts as a failure."""
    page = search(ANONYMOUS, SearchRequest(page_size=1))
    return {"ok": not page.degraded, "name": page.engine, "degraded": page.degraded, "took_ms": page.took_ms}


def _index() -> dict[str, Any]:
    """How far each consumer of the outbox is behind the record."""
    depths = outbox.depths()
    return {
        "outbox": [asdict(depth) for depth in depths],
        "parked": sum(depth.parked for depth in depths),
    }


def _viewer(request: HttpRequest) -> Viewer:
    """The viewer by session or token, as in the REST API. With an invalid token the viewer is anonymous."""
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


# Help texts of the gauges, by the field of `outbox.Depth` they report.
_GAUGES = {
    "waiting": "Entries waiting for the consumer",
    "lag_seconds": "Age of the oldest waiting entry",
    "retrying": "Waiting entries that have been rejected at least once",
    "tries": "Most rejections of any waiting entry",
    "parked": "Entries parked after repeated rejections",
    "paused": "1 while the consumer's service is unreachable",
}


def _outbox_metrics() -> bytes:
    """The outbox gauges, read from the database at each scrape. Empty when it cannot be read."""
    try:
        return generate_latest(_Depths(outbox.depths()))
    except DatabaseError as error:
        log.warning("metrics.outbox_unreadable", error=type(error).__name__)
        return b""


class _Depths(Collector):
    """Collects the depths of one scrape.

    The library's own gauges do not fit: in multiprocess mode they keep their values in files, so every later scrape
    would report them too.
    """

    def __init__(self, depths: list[outbox.Depth]) -> None:
        self._depths = depths

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, about in _GAUGES.items():
            family = GaugeMetricFamily(f"precedent_outbox_{name}", about, labels=["consumer"])
            for depth in self._depths:
                family.add_metric([depth.consumer], getattr(depth, name))
            yield family
