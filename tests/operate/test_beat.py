"""beat keeps running when the clock steps back, and when there is no disk space to save its schedule."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from celery.beat import PersistentScheduler, Service
from django.conf import settings

from kb.celery import app

RELAY_SECONDS = settings.CELERY_BEAT_SCHEDULE["relay"]["schedule"]

Start = Callable[[], PersistentScheduler]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Each call acts as a new beat process that finds the schedule its predecessor saved."""
    started: list[PersistentScheduler] = []

    def scheduler() -> PersistentScheduler:
        service = Service(app, schedule_filename=str(tmp_path / "schedule"), scheduler_cls=app.conf.beat_scheduler)
        started.append(service.get_scheduler())
        return started[-1]

    yield scheduler
    started[-1].close()


def a_day_ahead(scheduler: PersistentScheduler) -> None:
    """As if every job had last run while the clock was a day ahead."""
    for entry in scheduler.schedule.values():
        entry.last_run_at += timedelta(days=1)


def test_a_schedule_saved_while_the_clock_was_ahead_continues_at_once(start: Start) -> None:
    before = start()
    a_day_ahead(before)
    before.close()
    assert 0 < start().tick() <= RELAY_SECONDS


def test_setting_the_clock_back_while_beat_runs_stops_nothing(start: Start) -> None:
    scheduler = start()
    a_day_ahead(scheduler)
    scheduler.populate_heap()
    assert 0 < scheduler.tick() <= RELAY_SECONDS
    now = app.now()
    assert all(entry.last_run_at <= now for entry in scheduler.schedule.values())


def test_jobs_missed_while_beat_was_down_run_at_the_next_start(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    before = start()
    for entry in before.schedule.values():
        entry.last_run_at -= timedelta(days=2)
    before.close()
    after, ran = start(), []
    monkeypatch.setattr(after, "apply_entry", lambda entry, producer: ran.append(entry.name))
    monkeypatch.setattr(type(after), "producer", None)
    while after.tick() == 0:
        pass
    assert set(ran) == set(settings.CELERY_BEAT_SCHEDULE)


def test_a_schedule_that_cannot_be_saved_keeps_running(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(store: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scheduler = start()
    with monkeypatch.context() as patched:
        patched.setattr("shelve.Shelf.sync", full)
        scheduler._do_sync()
    assert 0 < scheduler.tick() <= RELAY_SECONDS


def test_the_schedule_is_saved_again_once_there_is_disk_space(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(store: object, key: str, value: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scheduler = start()
    with monkeypatch.context() as patched:
        patched.setattr("shelve.Shelf.__setitem__", full)
        scheduler._do_sync()
    scheduler.schedule["relay"].total_run_count = 777
    scheduler.close()
    assert start().schedule["relay"].total_run_count == 777
