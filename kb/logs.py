"""Structured logs: one line an event, with the request's id; JSON in production, readable on a terminal."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# Addresses that let whoever knows them in: an invitation's secret, the token of a password link.
_SECRET_ADDRESS = re.compile(r"((?:/|%2F)(?:invitations|password)(?:/|%2F))[^\s?&]{8,}", re.IGNORECASE)


def without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: no log line holds a secret that stands in an address."""
    for name in ("request", "path", "event"):
        if isinstance(event.get(name), str):
            event[name] = _SECRET_ADDRESS.sub(r"\1…", event[name])
    return event


def once_and_shortly(record: logging.LogRecord) -> bool:
    """A filter: what Django says of an answer that RequestLog has told already is not said again, without the request's
    id; and a stranger who sends a wrong Host header or too much is no error with a traceback."""
    if record.name.startswith("django.security."):
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return record.name != "django.request" or bool(record.exc_info)


def logging_configuration(*, level: str, style: str) -> dict[str, Any]:
    """A dictConfig for `style` "json" or "console"; also configures structlog to write through it.

    A level that is none of LEVELS counts as INFO, so that the check that refuses it can be heard.
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
    # Python's own warnings are lines as well.
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
        "filters": {"once": {"()": lambda: once_and_shortly}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["once"]}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **{
                name: {"level": level if level in LEVELS else "INFO", "handlers": ["stderr"], "propagate": False}
                for name in ("kb", "incidents", "django_structlog", "celery", "gunicorn.error")
            },
            # The relay runs every few seconds; lines for each run would be all that the log holds.
            **{
                name: {"level": "WARNING"}
                for name in ("django_structlog.celery", "celery.beat", "celery.worker.strategy", "celery.app.trace")
            },
        },
    }
