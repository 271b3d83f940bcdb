"""Traces for OpenTelemetry: a span for each request and task, and for what the database and Elasticsearch did for it.

Imported only when OTEL_EXPORTER_OTLP_ENDPOINT says where to send them, and needs the packages of the extra `tracing`.
Postmortems are private, and so is what people search for: nothing leaves this machine but what KEPT names.
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

# The attributes that are sent, by who recorded them: this module, and Elasticsearch's client by itself. No addresses,
# headers or people are among them; statements have placeholders where values stood.
KEPT = {
    __name__: {
        *("http.request.method", "http.route", "http.response.status_code"),
        *("db.system.name", "db.query.text"),
    },
    "elasticsearch-api": {"db.system.name", "db.operation.name", "db.response.status_code"},
}
# A list of ids is one placeholder after another.
LONGEST_STATEMENT = 2_000
METHODS = {name.upper() for name in View.http_method_names}

_tracer = trace.get_tracer(__name__)
_ids = TraceContextTextMapPropagator()
_tasks: dict[str, AbstractContextManager[trace.Span]] = {}


def start() -> None:
    """Once in a process that serves or works. After its fork, because the thread that sends does not outlive one."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: settings.OTEL_SERVICE_NAME}))
    provider.add_span_processor(BatchSpanProcessor(_Exporter()))
    trace.set_tracer_provider(provider)
    connection_created.connect(_watch)
    before_task_publish.connect(_send_along)
    task_prerun.connect(_task_begins)
    task_postrun.connect(_task_ends)


class _Exporter(OTLPSpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export([_harmless(span) for span in spans])


def _harmless(span: ReadableSpan) -> ReadableSpan:
    """Without events and the words of the status: both quote exceptions, which quote what was asked for."""
    kept = KEPT.get(span.instrumentation_scope.name, set()) if span.instrumentation_scope else set()
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
    """Middleware: the span of a request is named by its route, and the log lines about it carry the trace's id.

    A trusted proxy says which trace it belongs to. What else it passes on of that, somebody else may have written.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        method = request.method if request.method in METHODS else "_OTHER"
        above = _ids.extract({"traceparent": request.META.get("HTTP_TRACEPARENT", "")})
        with _tracer.start_as_current_span(
            str(method), above, SpanKind.SERVER, {"http.request.method": str(method)}
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


def _watch(connection: Any, **kwargs: Any) -> None:
    # A connection that is opened again announces itself again.
    if _statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_statement)


def _statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """As Django hands it to the driver, before any value is bound. Outside of requests and tasks there is no span."""
    # What is not yet text is put together by the driver, perhaps from values.
    if not trace.get_current_span().is_recording() or not isinstance(sql, str):
        return execute(sql, params, many, context)
    attributes = {"db.system.name": context["connection"].vendor, "db.query.text": sql[:LONGEST_STATEMENT]}
    with _tracer.start_as_current_span(sql.lstrip().partition(" ")[0], kind=SpanKind.CLIENT, attributes=attributes):
        return execute(sql, params, many, context)


def _send_along(headers: dict[str, Any], **kwargs: Any) -> None:
    """A task belongs to the trace of the request that asked for it."""
    _ids.inject(headers)


def _task_begins(task_id: str, task: Any, **kwargs: Any) -> None:
    span = _tracer.start_as_current_span(f"run {task.name}", _ids.extract(task.request), SpanKind.CONSUMER)
    span.__enter__()
    _tasks[task_id] = span


def _task_ends(task_id: str, state: str, **kwargs: Any) -> None:
    if span := _tasks.pop(task_id, None):
        if state != SUCCESS:
            trace.get_current_span().set_status(StatusCode.ERROR)
        span.__exit__(None, None, None)
