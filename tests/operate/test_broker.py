"""What becomes of a worker when its broker goes away."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn

import pytest
import redis

from kb.celery import app, give_nudges_once


@pytest.mark.postgres_only
def test_a_worker_outlives_the_connection_over_which_it_was_given_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those at work and those that wait for their turn, as Celery takes leave of them."""
    connection = app.connection_for_read()
    monkeypatch.setattr(connection.transport.Channel, "do_restore", True)
    give_nudges_once()
    channel = connection.default_channel
    delivery = {"exchange": "", "routing_key": "celery"}
    nudge = channel.Message(
        {"body": "", "properties": {"delivery_tag": "1", "delivery_info": delivery}}, channel=channel
    )

    def lost(*_: object, **__: object) -> NoReturn:
        raise redis.ConnectionError

    dumped: list[object] = []
    monkeypatch.setattr("kombu.transport.virtual.base.emergency_dump_state", lambda *a, **k: dumped.append(a))
    monkeypatch.setattr(redis.Connection, "send_packed_command", lost)
    with suppress(redis.ConnectionError):
        channel.qos.append(nudge, "1")
    with suppress(redis.ConnectionError):
        connection.collect()
    connection.close()
    nudge.ack()
    assert dumped == []
