"""The outbox and its nudges, with a real broker: what a transaction that is rolled back leaves behind, and what happens
while the broker is down."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import ChannelError, OperationalError

from incidents import outbox
from incidents.models import Incident, OutboxEntry
from kb.search import relay
from kb.search.service import SearchRequest, search


@contextmanager
def sending(folder: Path, **options: Any) -> Iterator[Celery]:
    """Send nudges with a Celery application of these options; with the filesystem broker, to a queue in `folder`."""
    own = Celery("own", set_as_current=False)
    own.config_from_object("django.conf:settings", namespace="CELERY")
    own.conf.update(options)
    if settings.EMBEDDED:
        places = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
        own.conf.broker_transport_options = {
            **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
            **{option: str(folder / place) for option, place in places.items()},
        }
    usual = current_app._get_current_object()
    own.set_current()
    try:
        yield own
    finally:
        usual.set_current()
        own.close()


@pytest.fixture
def nudges(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """A function that counts the messages sent to the broker, in a queue of its own."""
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    with sending(tmp_path, task_default_queue=f"nudges-{uuid4().hex}") as own:
        if settings.EMBEDDED:
            yield lambda: len(list((tmp_path / "queue").iterdir()))
        else:
            with own.connection_for_write() as broker:
                redis, queue = broker.default_channel.client, own.conf.task_default_queue
                yield lambda: redis.llen(queue)
                redis.delete(queue, f"_kombu.binding.{queue}")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_leaves_no_entry_and_sends_no_nudge(draft, nudges):
    with transaction.atomic():
        incident = draft("Never mind")
        assert OutboxEntry.objects.filter(incident_id=incident.pk).exists()
        transaction.set_rollback(True)
    assert not Incident.objects.exists()
    assert not OutboxEntry.objects.exists()
    assert nudges() == 0
    draft("Now really")
    assert OutboxEntry.objects.exists()
    assert nudges() == 1


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_is_rolled_back_removes_its_entry_but_not_the_nudge_for_the_rest(draft, nudges):
    with transaction.atomic():
        with transaction.atomic():
            draft("Never mind")
            transaction.set_rollback(True)
        kept = draft("Kept")
    assert set(OutboxEntry.objects.values_list("incident_id", flat=True)) == {kept.pk}
    assert nudges() == 1


@pytest.mark.django_db(transaction=True)
def test_an_entry_is_never_written_outside_the_transaction_of_its_change(cast, nudges):
    with pytest.raises(RuntimeError, match="inside the transaction"):
        outbox.enqueue([1])
    assert not OutboxEntry.objects.exists()
    assert nudges() == 0


@pytest.fixture
def broker_down(tmp_path: Path) -> Iterator[Celery]:
    """A broker that cannot be reached: a port where nothing listens, or a folder that cannot exist."""
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not broker_url, which CELERY_BROKER_URL in the environment overrides.
    options = {} if settings.EMBEDDED else {"broker_write_url": f"redis://127.0.0.1:{port}/0"}
    with sending(no_folder, **options) as own:
        yield own


@pytest.mark.django_db(transaction=True)
def test_with_the_broker_down_a_save_succeeds_at_once_and_the_work_is_done_later(cast, draft, broker_down):
    with pytest.raises((OperationalError, ChannelError, OSError)):
        broker_down.send_task(settings.OUTBOX_NUDGE, retry=False)
    began = time.monotonic()
    incident = draft("Saved all the same")
    assert time.monotonic() - began < 2
    assert Incident.objects.get() == incident
    assert OutboxEntry.objects.filter(incident_id=incident.pk).exists()
    relay.drain()
    assert not OutboxEntry.objects.exists()
    page = search(cast.viewer("author"), SearchRequest(q="saved"))
    assert [result.ref for result in page.results] == [incident.ref]
