"""A Celery worker that dies of SIGKILL at a chosen step of the relay: `celery -A chaos.doomed worker`.

CHAOS_DIES names the step. It dies there once somebody has made the file CHAOS_DIES_ON, which it takes away first, so
that of many workers exactly one dies, and the one that comes in its place does not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from kb.celery import app

__all__ = ["app"]

STEPS = ("claimed", "built", "half-written", "written")


def _die() -> None:
    try:
        Path(os.environ["CHAOS_DIES_ON"]).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _after(function: Callable[..., Any], *, only_if: Callable[[Any], bool] = lambda result: True) -> Callable[..., Any]:
    """The function, and death after it."""

    def deadly(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if only_if(result):
            _die()
        return result

    return deadly


@worker_ready.connect
def _doom(**_: Any) -> None:
    """Once everything is imported."""
    from incidents import outbox
    from kb.search import relay
    from kb.search.database.engine import DatabaseEngine
    from kb.search.elastic.engine import ElasticEngine

    match os.environ.get("CHAOS_DIES"):
        case "claimed":
            outbox.claim = _after(outbox.claim, only_if=bool)
        case "built":
            relay.build_many = _after(relay.build_many)
        case "half-written":
            # Inside the transaction of the database's own index.
            DatabaseEngine._write = _after(DatabaseEngine._write)  # type: ignore[method-assign]
        case "written":
            ElasticEngine.index = _after(ElasticEngine.index)  # type: ignore[method-assign]
