"""The scheduler of beat. Neither a clock that is set back nor a full disk stops it."""

from __future__ import annotations

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class Scheduler(PersistentScheduler):
    def tick(self, *args: object, **kwargs: object) -> float:
        """Run what is due; returns the seconds until the next tick.

        After a clock that was ahead is set back, last runs lie in the future, and their jobs would wait until then.
        """
        now = self.app.now()
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            log.warning("beat.clock_was_ahead", jobs=sorted(entry.name for entry in ahead))
            # Makes the next tick compute the due times again.
            self._heap = None
        delay: float = super().tick(*args, **kwargs)
        return delay

    def sync(self) -> None:
        """Write the schedule to disk. If that fails, as on a full disk, the scheduler goes on without it."""
        try:
            super().sync()
        except OSError as error:
            # shelve turns writeback off while it writes and, when the write fails, does not turn it on again.
            self._store.writeback = True
            log.warning("beat.schedule_not_kept", error=str(error))
