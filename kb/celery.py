"""The Celery application. `celery -A kb worker` and `celery -A kb beat` find it here."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu.transport.redis import Channel

from kb.checks import refuse_unsafe_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kb.settings")

app = Celery("kb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["kb", "kb.api"])
# What was delivered over a connection that is lost would be put back over that very connection, and, as this fails, be
# written to a file that nobody reads.
Channel.do_restore = False
# The log lines of a task carry the id of the request that asked for it.
app.steps["worker"].add(DjangoStructLogInitStep)


@worker_init.connect
@beat_init.connect
def _start_only_when_safe(**kwargs: Any) -> None:
    refuse_unsafe_settings()


@worker_init.connect
def _trace(**kwargs: Any) -> None:
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from kb import tracing

        tracing.start()
