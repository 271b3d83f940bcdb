"""A worker survives losing its broker, and the folder broker delivers what several processes send concurrently."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any, NoReturn

import pytest
import redis
from kombu import Connection

from kb.celery import app, do_not_requeue_nudges


@pytest.mark.postgres_only
def test_a_worker_survives_losing_the_connection_that_delivered_its_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery neither restores running and waiting nudges over the lost connection nor dumps them to a file."""
    connection = app.connection_for_read()
    monkeypatch.setattr(connection.transport.Channel, "do_restore", True)
    do_not_requeue_nudges()
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


Open = Callable[[], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def channel(folder: Path) -> Iterator[Open]:
    """Each call opens a channel, as every process has its own."""
    options = {"data_folder_in": str(folder / "queue"), "data_folder_out": str(folder / "queue")}
    connections: list[Any] = []

    def opened() -> Any:
        connections.append(
            Connection("filesystem://localhost", transport_options={**options, "control_folder": folder / "control"})
        )
        return connections[-1].default_channel

    yield opened
    for connection in connections:
        connection.close()


def test_the_folder_delivers_every_message_complete_while_others_write(channel: Open) -> None:
    sent = {f"{writer} {number}" for writer in range(3) for number in range(200)}

    def write(writer: int, into: Any) -> None:
        for number in range(200):
            into._put("celery", {"body": f"{writer} {number}"})

    writers = [threading.Thread(target=write, args=(writer, channel())) for writer in range(3)]
    for thread in writers:
        thread.start()
    reader, received = channel(), set()
    while len(received) < len(sent):
        at_work = any(thread.is_alive() for thread in writers)
        try:
            received.add(reader._get("celery")["body"])
        except Empty:
            assert at_work, f"{len(sent - received)} were lost"
    assert received == sent


def test_invalid_files_are_removed_and_do_not_hide_a_message(channel: Open, folder: Path) -> None:
    for name in ("0_empty", "0_zeros"):
        (folder / "queue" / f"{name}.celery.msg").write_bytes(b"\0" * 10 if name == "0_zeros" else b"")
    reader = channel()
    reader._put("celery", {"body": "behind them"})
    for _ in range(2):
        with pytest.raises(Empty):
            reader._get("celery")
    assert reader._get("celery") == {"body": "behind them"}
    assert list((folder / "queue").iterdir()) == []


def test_a_message_that_finds_the_disk_full_leaves_nothing_behind(
    channel: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> NoReturn:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = channel()
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(writer.connection.client.channel_errors):
        writer._put("celery", {"body": ""})
    assert list((folder / "queue").iterdir()) == []


def test_a_message_is_received_even_if_no_temporary_folder_has_room(
    channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    both = channel()
    both._put("celery", {"body": "here"})
    monkeypatch.setattr(tempfile, "gettempdir", full)
    assert both._get("celery") == {"body": "here"}


def test_processes_that_start_concurrently_all_find_where_to_send(channel: Open) -> None:
    together = threading.Barrier(4)
    missing: list[int] = []

    def start(into: Any) -> None:
        for number in range(200):
            together.wait()
            try:
                into._queue_bind(f"exchange-{number}", "celery", "", "celery")
                assert into.get_table(f"exchange-{number}")
            except Exception:
                missing.append(number)

    processes = [threading.Thread(target=start, args=(channel(),)) for _ in range(4)]
    for thread in processes:
        thread.start()
    for thread in processes:
        thread.join()
    assert missing == []
