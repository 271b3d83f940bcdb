"""Threads of one process that write to one SQLite file."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.db.utils import ConnectionHandler

# Seconds.
PATIENCE = 4
AT_ONCE = 1


@pytest.fixture
def connections(tmp_path: Path, django_db_blocker: Any) -> Iterator[ConnectionHandler]:
    """Connections to a file of their own, configured as the embedded mode configures them."""
    options = {**settings.DATABASES["default"]["OPTIONS"], "timeout": PATIENCE}
    configured = {**settings.DATABASES["default"], "NAME": str(tmp_path / "test.sqlite3"), "OPTIONS": options}
    with django_db_blocker.unblock():
        yield ConnectionHandler({"default": configured})


@pytest.mark.sqlite_only
def test_a_writer_that_collects_garbage_does_not_wait_for_one_that_waits_for_it(connections):
    """The one that waits has failed to begin before, and so has left something to collect."""
    begun, failed, waiting = threading.Event(), threading.Event(), threading.Event()
    seconds: dict[str, float] = {}

    def begin() -> None:
        connections["default"].set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)

    def end() -> None:
        connections["default"].rollback()
        connections["default"].set_autocommit(True)

    def write() -> None:
        begin()
        begun.set()
        failed.wait()
        end()
        begin()
        begun.set()
        waiting.wait()
        # Until the other has found the database locked.
        time.sleep(0.3)
        start = time.monotonic()
        gc.collect()
        seconds["collected"] = time.monotonic() - start
        end()
        connections["default"].close()

    def wait_to_write() -> None:
        begun.wait()
        begun.clear()
        cursor = connections["default"].cursor()
        cursor.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            begin()
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
        failed.set()
        begun.wait()
        waiting.set()
        start = time.monotonic()
        begin()
        seconds["waited"] = time.monotonic() - start
        end()
        connections["default"].close()

    gc.collect()
    gc.disable()
    try:
        threads = [threading.Thread(target=act) for act in (write, wait_to_write)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.enable()
    assert seconds["collected"] < AT_ONCE
    assert seconds["waited"] < AT_ONCE
