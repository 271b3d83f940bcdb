"""Rate limits per user, and per address for anonymous callers.

Requests are counted in fixed windows in the shared cache. While the cache is unavailable, each process counts for
itself in bounded memory and tries the cache again after a short pause. So limits hold, and no request waits for a
cache that does not respond.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from kb.addresses import counted

if TYPE_CHECKING:
    # Types only: the framework imports this module while it is defining APIView.
    from rest_framework.views import APIView

PERIODS = {
    **dict.fromkeys(("s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hour"), 3_600),
    **dict.fromkeys(("d", "day"), 86_400),
}
CACHE_RETRY_SECONDS = 5
MOST_LOCAL_COUNTS = 10_000


def parse(rate: str) -> tuple[int, int]:
    """(requests, seconds) of "300/min". Raises ValueError."""
    number, _, period = rate.partition("/")
    if not number.isdigit() or int(number) < 1 or period not in PERIODS:
        raise ValueError(f"{rate!r} is not a rate such as 300/min")
    return int(number), PERIODS[period]


class Counts:
    """Counters by key. In the shared cache they expire after their window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local: dict[str, int] = {}
        self._retry_cache_at = 0.0

    def add(self, key: str, seconds: int) -> int:
        """Count one more request under `key`; returns the new count."""
        if time.monotonic() >= self._retry_cache_at:
            count = self._add_shared(key, seconds)
            if count is not None:
                return count
            self._retry_cache_at = time.monotonic() + CACHE_RETRY_SECONDS
        return self._add_local(key)

    def _add_shared(self, key: str, seconds: int) -> int | None:
        """The new count, or None if the cache did not respond."""
        added: Any = cache.add(key, 1, timeout=seconds + 1)
        if added is None:
            return None
        if added:
            return 1
        try:
            count: Any = cache.incr(key)
        except ValueError:
            # The key expired between the two calls.
            return 1
        return count

    def _add_local(self, key: str) -> int:
        with self._lock:
            if len(self._local) >= MOST_LOCAL_COUNTS and key not in self._local:
                self._local.clear()
            self._local[key] = self._local.get(key, 0) + 1
            return self._local[key]


counts = Counts()


class Window(BaseThrottle):
    """Limits the requests of each `subject` per fixed window of time. A subject of None is not counted."""

    scope: str
    left: float = 0

    def subject(self, request: Request) -> str | None:
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView) -> bool:
        subject = self.subject(request)
        return subject is None or self.count(subject)

    def count(self, subject: str) -> bool:
        rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
        most, seconds = parse(rates[self.scope])
        window, past = divmod(time.time(), seconds)
        self.left = seconds - past
        return counts.add(f"rate:{self.scope}:{subject}:{int(window)}", seconds) <= most

    def wait(self) -> float:
        return max(1.0, self.left)


class PerUser(Window):
    scope = "user"

    def subject(self, request: Request) -> str | None:
        return str(request.user.pk) if request.user.is_authenticated else None


class PerAddress(Window):
    """Limits anonymous callers by address, which kb.middleware.trusted_proxy has already determined."""

    scope = "address"

    def subject(self, request: Request) -> str | None:
        return None if request.user.is_authenticated else counted(request)


def count_refused(request: Request) -> float | None:
    """Count an invalid token as an anonymous request from its address; returns the seconds to wait, if any."""
    throttle = PerAddress()
    return None if throttle.count(counted(request)) else throttle.wait()
