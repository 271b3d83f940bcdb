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

# Several processes use the embedded mode's folder at once, which kombu's own transport does not support.
TRANSPORT_ALIASES["filesystem"] = "kb.broker:Transport"
app = Celery("kb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["kb", "kb.api"])
# A task's log lines carry the id of the request that sent it.
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def _leave_logging_to_the_settings(**kwargs: Any) -> None:
    """Keep Celery from configuring logging: it would set levels on the loggers of libraries that override LOG_LEVEL."""


@worker_init.connect
@beat_init.connect
def _start_only_when_safe(**kwargs: Any) -> None:
    refuse_unsafe_settings()


@worker_init.connect
def do_not_requeue_nudges(**kwargs: Any) -> None:
    """Do not requeue nudges from a lost connection. Celery would put them back over that same connection and, when that
    fails, dump them into a file that nothing reads. The schedule makes up for them."""
    app.connection_for_read().transport.Channel.do_restore = False


@worker_init.connect
def _trace(**kwargs: Any) -> None:
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from kb import tracing

        tracing.start()
