"""The schedule as beat keeps it: what it keeps never stops it."""

from __future__ import annotations

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class Scheduler(PersistentScheduler):
    def tick(self, *args: object, **kwargs: object) -> float:
        """Seconds until the next turn. Jobs that ran by a clock that was ahead would wait until it gets there again."""
        now = self.app.now()
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            log.warning("beat.clock_was_ahead", jobs=sorted(entry.name for entry in ahead))
            # Their turns are worked out anew.
            self._heap = None
        delay: float = super().tick(*args, **kwargs)
        return delay

    def sync(self) -> None:
        """On a full disk the schedule goes on without being written down."""
        try:
            super().sync()
        except OSError as error:
            # A shelf that could not write forgets that it keeps what it gave out.
            self._store.writeback = True
            log.warning("beat.schedule_not_kept", error=str(error))
