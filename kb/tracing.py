"""Traces for OpenTelemetry: a span for each request and task, and for each database and Elasticsearch call it makes.

Imported only when OTEL_EXPORTER_OTLP_ENDPOINT is set. Needs the packages of the extra `tracing`.
Postmortems and searches are private: of the attributes of a span, only those in KEPT_ATTRIBUTES leave this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import structlog
from celery.signals import before_task_publish, task_postrun, task_prerun
from celery.states import SUCCESS
from django.conf import settings
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.views import View
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# The attributes that are sent, by the module that records them: this one, or Elasticsearch's client. They hold no
# addresses, headers or people; statements have placeholders in place of values.
KEPT_ATTRIBUTES = {
    __name__: {
        *("http.request.method", "http.route", "http.response.status_code"),
        *("db.system.name", "db.query.text"),
    },
    "elasticsearch-api": {"db.system.name", "db.operation.name", "db.response.status_code"},
}
# In characters. A statement with a long list of ids repeats its placeholder that often.
LONGEST_STATEMENT = 2_000
METHODS = {name.upper() for name in View.http_method_names}

_tracer = trace.get_tracer(__name__)
_propagator = TraceContextTextMapPropagator()
_tasks: dict[str, AbstractContextManager[trace.Span]] = {}


def start() -> None:
    """Start tracing in a web or worker process. Call once, after the fork: the sending thread does not survive one."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: settings.OTEL_SERVICE_NAME}))
    provider.add_span_processor(BatchSpanProcessor(_Exporter()))
    trace.set_tracer_provider(provider)
    connection_created.connect(_wrap_connection)
    before_task_publish.connect(_inject_trace)
    task_prerun.connect(_begin_task)
    task_postrun.connect(_end_task)


class _Exporter(OTLPSpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export([_redacted(span) for span in spans])


def _redacted(span: ReadableSpan) -> ReadableSpan:
    """The span without its events and its status description: both quote exceptions, which quote requests."""
    kept = KEPT_ATTRIBUTES.get(span.instrumentation_scope.name, set()) if span.instrumentation_scope else set()
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in kept},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def traced(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that gives each request a span named by its route, and adds the trace's id to its log lines.

    The `traceparent` of a trusted proxy says which trace the request belongs to. Its other trace headers are ignored:
    the proxy may have passed them on from a client.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        method = request.method if request.method in METHODS else "_OTHER"
        parent = _propagator.extract({"traceparent": request.META.get("HTTP_TRACEPARENT", "")})
        with _tracer.start_as_current_span(
            str(method), parent, SpanKind.SERVER, {"http.request.method": str(method)}
        ) as span:
            traces = {"trace_id": f"{span.get_span_context().trace_id:032x}"} if span.is_recording() else {}
            with structlog.contextvars.bound_contextvars(**traces):
                response = get_response(request)
            if request.resolver_match:
                span.update_name(f"{method} /{request.resolver_match.route}")
                span.set_attribute("http.route", f"/{request.resolver_match.route}")
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
        return response

    return middleware


def _wrap_connection(connection: Any, **kwargs: Any) -> None:
    # The signal is also sent when a connection is reopened.
    if _traced_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_traced_statement)


def _traced_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Record a statement as Django passes it to the driver, before values are bound. Only within requests and tasks."""
    # SQL that is not a string is composed by the driver, possibly from values.
    if not trace.get_current_span().is_recording() or not isinstance(sql, str):
        return execute(sql, params, many, context)
    attributes = {"db.system.name": context["connection"].vendor, "db.query.text": sql[:LONGEST_STATEMENT]}
    with _tracer.start_as_current_span(sql.lstrip().partition(" ")[0], kind=SpanKind.CLIENT, attributes=attributes):
        return execute(sql, params, many, context)


def _inject_trace(headers: dict[str, Any], **kwargs: Any) -> None:
    """Make the task part of the trace of the request that sends it."""
    _propagator.inject(headers)


def _begin_task(task_id: str, task: Any, **kwargs: Any) -> None:
    span = _tracer.start_as_current_span(f"run {task.name}", _propagator.extract(task.request), SpanKind.CONSUMER)
    span.__enter__()
    _tasks[task_id] = span


def _end_task(task_id: str, state: str, **kwargs: Any) -> None:
    if span := _tasks.pop(task_id, None):
        if state != SUCCESS:
            trace.get_current_span().set_status(StatusCode.ERROR)
        span.__exit__(None, None, None)
