"""A circuit breaker: after a failure the engine is left alone, and asked again as soon as it can answer.

    closed      every search goes to the engine
    open        none does; a probe looks every half second, in the background, whether it is back
    half-open   the probe got through: the next search goes to the engine, and its outcome closes or opens the circuit

One per process: a failure that one process saw costs every other at most one search's budget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum

import structlog
from prometheus_client import Counter, Gauge

log = structlog.get_logger(__name__)

OPENED = Counter("precedent_search_breaker_opened_total", "How often the search engine was given up on")
# What processes see at the same time is much the same: of those that run, the one speaks that saw something last.
IS_OPEN = Gauge(
    "precedent_search_breaker_open",
    "1 while the search engine is left alone after a failure",
    multiprocess_mode="livemostrecent",
)
# That somebody saw something at all: without it there would be no number until the first search.
IS_OPEN.set(0)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """`probe` returns whether the engine can answer; it must return within its own short time limit and never raise."""

    def __init__(self, probe: Callable[[], bool], *, interval: float = 0.5) -> None:
        self._probe, self._interval = probe, interval
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._is_watched = False

    @property
    def state(self) -> State:
        return self._state

    def allows(self) -> bool:
        """Whether this search may go to the engine. In the half-open state only one may, until its outcome is known."""
        with self._lock:
            if self._state is State.HALF_OPEN:
                # Further searches wait for the outcome of this one.
                self._state = State.OPEN
                return True
            return self._state is State.CLOSED

    def succeeded(self) -> None:
        with self._lock:
            if self._state is not State.CLOSED:
                log.info("search.breaker_closed")
            self._state = State.CLOSED
            IS_OPEN.set(0)

    def failed(self, reason: str) -> None:
        with self._lock:
            if self._state is State.CLOSED:
                OPENED.inc()
                log.warning("search.breaker_opened", reason=reason)
            self._state = State.OPEN
            IS_OPEN.set(1)
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="search-probe", daemon=True).start()

    def _watch(self) -> None:
        while self._still_open():
            if self._state is State.OPEN and self._probe():
                with self._lock:
                    if self._state is State.OPEN:
                        self._state = State.HALF_OPEN
            time.sleep(self._interval)

    def _still_open(self) -> bool:
        """Decided under the lock, so that a failure of this very moment begins another watch."""
        with self._lock:
            self._is_watched = self._state is not State.CLOSED
            return self._is_watched
