"""The Celery application. `celery -A kb worker` and `celery -A kb beat` find it here."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.transport import TRANSPORT_ALIASES

from kb.checks import refuse_unsafe_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kb.settings")

# The folder of the embedded mode is written and read by several processes at once.
TRANSPORT_ALIASES["filesystem"] = "kb.broker:Transport"
app = Celery("kb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["kb", "kb.api"])
# The log lines of a task carry the id of the request that asked for it.
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def _leave_logging_to_the_settings(**kwargs: Any) -> None:
    """Without it Celery would give every library's logger a level of its own, which LOG_LEVEL could not change."""


@worker_init.connect
@beat_init.connect
def _start_only_when_safe(**kwargs: Any) -> None:
    refuse_unsafe_settings()


@worker_init.connect
def give_nudges_once(**kwargs: Any) -> None:
    """Those that a lost connection had brought would be put back over that very connection, and, as this fails, be
    written to a file that nobody reads. The schedule makes up for them."""
    app.connection_for_read().transport.Channel.do_restore = False


@worker_init.connect
def _trace(**kwargs: Any) -> None:
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from kb import tracing

        tracing.start()
