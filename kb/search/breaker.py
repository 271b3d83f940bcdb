"""A circuit breaker: after a failure, searches bypass the engine until a background probe finds it working again.

    closed      every search goes to the engine
    open        no search does; in the background, a probe checks every half second whether the engine is back
    half-open   the probe succeeded: the next search goes to the engine, and its outcome closes or reopens the circuit

Each process has its own breaker, so a failure costs every process at most the time budget of one search.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum

import structlog
from prometheus_client import Counter, Gauge

log = structlog.get_logger(__name__)

OPENED = Counter("precedent_search_breaker_opened_total", "How often the search circuit breaker opened")
# All processes see much the same state, so the most recent value of a live process stands for all of them.
IS_OPEN = Gauge(
    "precedent_search_breaker_open",
    "1 while the search circuit breaker is open after a failure",
    multiprocess_mode="livemostrecent",
)
# Export a value from the start: otherwise there would be none until the first search.
IS_OPEN.set(0)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """`probe` returns whether the engine can answer. It must keep its own short time limit and must never raise."""

    def __init__(self, probe: Callable[[], bool], *, interval: float = 0.5) -> None:
        self._probe, self._interval = probe, interval
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._is_watched = False

    @property
    def state(self) -> State:
        return self._state

    def allows(self) -> bool:
        """Whether this search can go to the engine. While half-open, only one can until its outcome is known."""
        with self._lock:
            if self._state is State.HALF_OPEN:
                # Other searches bypass the engine until the outcome of this one is known.
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
        """Decided under the lock, so that a failure at this very moment starts another watch."""
        with self._lock:
            self._is_watched = self._state is not State.CLOSED
            return self._is_watched
