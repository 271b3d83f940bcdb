"""Traces reveal only what they should to a collector, and nothing depends on the collector."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from celery.signals import before_task_publish
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from kb import tracing

from .conftest import ROOT, SERVICES, wait_until

# A search term, a cookie that identifies a person, and the collector's key.
SECRET, PERSON, KEY = "zanzibarquark", "cookie-of-somebody", "key-to-the-collector"


def attributes(of: Span | Resource) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in of.attributes}


class Collector:
    """Receives OTLP over HTTP."""

    def __init__(self) -> None:
        self.received = b""
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.keys: set[str | None] = set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.take(body, handler.headers["Authorization"])
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, body: bytes, key: str | None) -> None:
        self.received += body
        self.keys.add(key)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes(of_resource.resource)["service.name"])
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def below(self, span: Span) -> list[Span]:
        return [other for other in self.spans if other.parent_span_id == span.span_id]

    def go_away(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.go_away()


@pytest.fixture(scope="module")
def env(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One installation with its own database. Its Elasticsearch is unreachable, so that the database answers too."""
    unset = ("OTEL_", "SECRET_KEY", "BASE_URL", "ALLOWED_HOSTS", *SERVICES)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unset)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **kept,
        "VAR_DIR": str(tmp_path_factory.mktemp("var")),
        "PORT": str(port),
        "GUNICORN_CMD_ARGS": "--workers 1",
        "LOG_FORMAT": "json",
        "DJANGO_SETTINGS_MODULE": "kb.settings",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    # Elasticsearch counts as compared with the record, so that searches try it first.
    with closing(sqlite3.connect(Path(env["VAR_DIR"]) / "precedent.sqlite3")) as database, database:
        database.execute("INSERT INTO search_engineinstep (consumer) VALUES ('elasticsearch')")
    return {
        **env,
        "ELASTICSEARCH_URL": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }


@contextmanager
def running(env: dict[str, str], *command: str) -> Iterator[Path]:
    """Run a module; yields the path of its log."""
    log = Path(env["VAR_DIR"]) / f"{command[0]}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def ask(env: dict[str, str], path: str) -> int:
    """Send a request with trace headers of its own, which must be ignored, and with personal data."""
    others = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "tracestate": f"who={PERSON}", "baggage": f"who={PERSON}"}
    request = Request(
        f"http://127.0.0.1:{env['PORT']}{path}", headers={"Cookie": f"who={PERSON}", "User-Agent": PERSON, **others}
    )
    try:
        with urlopen(request, timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def log(env: dict[str, str]) -> Iterator[Path]:
    with running(env, "gunicorn", "kb.wsgi:application") as log:
        wait_until(lambda: "Booting worker" in log.read_text(), "the server")
        yield log


def test_a_request_becomes_a_trace_that_reveals_nothing_of_its_content(
    env: dict[str, str], log: Path, collector: Collector
) -> None:
    assert ask(env, f"/search?q={SECRET}") == 200
    assert ask(env, f"/incidents/{SECRET}") == 404
    assert ask(env, f"/{SECRET}/nowhere") == 404
    wait_until(lambda: collector.named("GET"), "the last trace")

    (search,) = collector.named("GET /search")
    assert search.kind == Span.SPAN_KIND_SERVER
    assert collector.named("GET /incidents/<str:reference>")
    # Elasticsearch was searched, which has no index yet; then the database was queried.
    below = {span.name: span for span in collector.below(search)}
    assert {span.trace_id for span in below.values()} == {search.trace_id}
    assert attributes(below["msearch"]) == {"db.system.name": "elasticsearch", "db.operation.name": "msearch"}
    assert attributes(below["WITH"])["db.system.name"] == "sqlite"
    assert attributes(below["WITH"])["db.query.text"].startswith("WITH found(")

    assert collector.services == {"precedent"}
    assert collector.keys == {KEY}
    for private in (SECRET, PERSON, KEY):
        assert private.encode() not in collector.received
    assert not any(span.events or span.status.message for span in collector.spans)

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    of_search = [line for line in lines if line.get("request") == "GET /search"]
    assert {line["trace_id"] for line in of_search} == {search.trace_id.hex()}


def test_a_task_belongs_to_the_trace_of_the_request_that_sent_it(env: dict[str, str], collector: Collector) -> None:
    broker = Path(env["VAR_DIR"]) / "broker"
    for folder in ("queue", "control"):
        (broker / folder).mkdir(parents=True)
    folders = {"data_folder_in": f"{broker}/queue", "data_folder_out": f"{broker}/queue"}
    sender = Celery("sender", broker="filesystem://", set_as_current=False)
    sender.conf.broker_transport_options = {**folders, "control_folder": f"{broker}/control"}
    asking = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    before_task_publish.connect(tracing._inject_trace)
    try:
        with trace.use_span(trace.NonRecordingSpan(asking)):
            sender.send_task("kb.tasks.relay")
    finally:
        before_task_publish.disconnect(tracing._inject_trace)

    worker = ("celery", "--quiet", "-A", "kb", "worker", "--pool", "threads", "--concurrency", "1")
    with running({**env, "ELASTICSEARCH_URL": ""}, *worker):
        wait_until(lambda: collector.named("run kb.tasks.relay"), "the task")
    (task,) = collector.named("run kb.tasks.relay")
    assert task.kind == Span.SPAN_KIND_CONSUMER
    assert int.from_bytes(task.trace_id) == asking.trace_id
    assert int.from_bytes(task.parent_span_id) == asking.span_id
    assert "SELECT" in {span.name for span in collector.below(task)}


def test_an_unreachable_collector_fails_no_request_and_its_key_stays_out_of_the_log(
    env: dict[str, str], log: Path, collector: Collector
) -> None:
    collector.go_away()
    assert ask(env, f"/search?q={SECRET}") == 200
    wait_until(lambda: "Failed to export" in log.read_text(), "the attempt to send")
    assert ask(env, f"/search?q={SECRET}") == 200
    said = [line for line in log.read_text().splitlines() if "opentelemetry" in line]
    assert said
    assert not any(SECRET in line for line in said)
    assert KEY not in log.read_text()


def test_nothing_that_sends_traces_is_loaded_if_no_endpoint_is_set(env: dict[str, str]) -> None:
    look = "import sys, kb.wsgi, kb.tasks; print(*sys.modules)"
    unset = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    loaded = subprocess.run([sys.executable, "-c", look], cwd=ROOT, env=unset, capture_output=True, text=True).stdout
    assert "kb.search.elastic" in loaded
    # The Elasticsearch client loads OpenTelemetry's API by itself, which does nothing without the SDK.
    for name in ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "kb.tracing"):
        assert name not in loaded


def test_an_endpoint_without_the_packages_is_refused_with_the_fix(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    without = {**env, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import kb.wsgi"], cwd=ROOT, env=without, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("kb.E013: OTEL_EXPORTER_OTLP_ENDPOINT is set")
    assert done.stderr.endswith("scripts/environment tracing\n")
