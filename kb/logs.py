"""Structured logs: one line per event, with the request's id. JSON in production, plain text on a terminal."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# Addresses that grant access to anyone who knows them: an invitation's secret, the token of a password link.
_SECRET_ADDRESS = re.compile(r"((?:/|%2F)(?:invitations|password)(?:/|%2F))[^\s?&]{8,}", re.IGNORECASE)


def without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that removes the secrets in addresses from log lines."""
    for name in ("request", "path", "event"):
        if isinstance(event.get(name), str):
            event[name] = _SECRET_ADDRESS.sub(r"\1…", event[name])
    return event


def drop_duplicate_lines(record: logging.LogRecord) -> bool:
    """A logging filter. It drops Django's own line about a response unless that has a traceback, because RequestLog has
    already logged the response with the request's id. Requests that Django finds suspicious, such as those with a wrong
    Host header or too much data, become warnings without a traceback."""
    if record.name.startswith("django.security."):
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return record.name != "django.request" or bool(record.exc_info)


def logging_configuration(*, level: str, style: str) -> dict[str, Any]:
    """A dictConfig for `style` "json" or "console"; also configures structlog to write through it.

    A level that is not in LEVELS counts as INFO, so that kb/checks.py can report it.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        without_secrets,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # Python's own warnings go to the log as well.
    logging.captureWarnings(True)
    renderer: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
                "foreign_pre_chain": shared,
            }
        },
        "filters": {"once": {"()": lambda: drop_duplicate_lines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["once"]}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **{
                name: {"level": level if level in LEVELS else "INFO", "handlers": ["stderr"], "propagate": False}
                for name in ("kb", "incidents", "django_structlog", "celery", "gunicorn.error")
            },
            # The relay runs every few seconds; its lines would drown out everything else.
            **{
                name: {"level": "WARNING"}
                for name in ("django_structlog.celery", "celery.beat", "celery.worker.strategy", "celery.app.trace")
            },
        },
    }
