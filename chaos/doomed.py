"""A Celery worker that can be killed by SIGKILL at a step of the relay or tagger: `celery -A chaos.doomed worker`.

It dies at the step named in the file CHAOS_DIES_ON, as soon as that file exists. It removes the file first, so exactly
one of several workers dies and its replacement survives.
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


def _die(step: str) -> None:
    order = Path(os.environ["CHAOS_DIES_ON"])
    try:
        if order.read_text() != step:
            return
        order.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _after(step: str, function: Callable[..., Any], *, only_if: Callable[[Any], bool] = lambda result: True) -> Any:
    """Wrap a function so that the worker can die right after it."""

    def deadly(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if only_if(result):
            _die(step)
        return result

    return deadly


@worker_ready.connect
def _doom(**_: Any) -> None:
    """Patch the steps once everything is imported."""
    from incidents import outbox
    from kb.patterns import tagging
    from kb.search import relay
    from kb.search.database.engine import DatabaseEngine
    from kb.search.elastic.engine import ElasticEngine

    outbox.claim = _after("claimed", outbox.claim, only_if=bool)
    relay.build_many = _after("built", relay.build_many)
    # Inside the transaction that writes the database's own index.
    DatabaseEngine._write = _after("half-written", DatabaseEngine._write)  # type: ignore[method-assign]
    ElasticEngine.index = _after("written", ElasticEngine.index)  # type: ignore[method-assign]
    # Inside the transaction that writes the tags.
    tagging.write_plans = _after("half-tagged", tagging.write_plans, only_if=bool)
