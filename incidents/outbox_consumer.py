"""How a consumer of the outbox works through its entries: claim a batch, do the work, delete the finished entries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from incidents import outbox
from incidents.outbox import Claim

log = structlog.get_logger(__name__)

# Brings the given incidents up to date; returns {id: reason} for those rejected because of their content.
Work = Callable[[list[int]], dict[int, str]]

BATCH = 100
PAUSE = timedelta(seconds=5)
# Work that takes longer than this counts as hung: its lease expires and another worker starts over.
MAX_WORK_TIME = timedelta(minutes=10)


class Unreachable(Exception):
    """The consumer's service cannot be reached. This says nothing about the incidents, so no try is counted."""


def run_once(consumer: str, work: Work) -> int:
    """Handle one batch of `consumer`'s entries. Returns the number of incidents in it, 0 when nothing is due or the
    service cannot be reached."""
    claim = outbox.claim(consumer, limit=BATCH)
    if not claim:
        return 0
    with _keep_lease(claim):
        return _handle(claim, work)


def _handle(claim: Claim, work: Work) -> int:
    try:
        refused = work(list(claim.entries))
    except Unreachable as error:
        return _pause(claim, error)
    except Exception:
        # One incident made the batch fail. Handle them one by one to find it, so that it does not block the others.
        return _one_by_one(claim, work)
    outbox.complete(claim, [pk for pk in claim.entries if pk not in refused])
    for pk, reason in refused.items():
        _reject(claim, pk, reason)
    return len(claim.entries)


@contextmanager
def _keep_lease(claim: Claim) -> Iterator[None]:
    """Renew the lease while its holder works, so that no other worker starts the same slow work."""
    stopped = threading.Event()
    # This thread dies with its process, so the lease of a killed worker expires.
    renewer = threading.Thread(target=_renew, args=(claim, stopped), name="outbox-lease", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        stopped.set()
        renewer.join()


def _renew(claim: Claim, stopped: threading.Event) -> None:
    every = settings.OUTBOX_LEASE / 3
    left = MAX_WORK_TIME
    while left > timedelta(0) and not stopped.wait(every.total_seconds()):
        left -= every
        try:
            if not outbox.renew(claim):
                return
        except DatabaseError as error:
            log.warning("outbox.not_renewed", consumer=claim.consumer, error=type(error).__name__)
        finally:
            connection.close()


def _one_by_one(claim: Claim, work: Work) -> int:
    for pk in claim.entries:
        try:
            refused = work([pk])
        except Unreachable as error:
            return _pause(claim, error)
        except Exception as error:
            log.exception("outbox.failed", consumer=claim.consumer, incident_id=pk)
            refused = {pk: f"{type(error).__name__}: {error}"}
        if pk in refused:
            _reject(claim, pk, refused[pk])
        else:
            outbox.complete(claim, [pk])
    return len(claim.entries)


def _pause(claim: Claim, error: Unreachable) -> int:
    outbox.release(claim, wait=PAUSE, reason=str(error))
    log.warning("outbox.paused", consumer=claim.consumer, error=str(error))
    return 0


def _reject(claim: Claim, incident_id: int, reason: str) -> None:
    parked = outbox.reject(claim, incident_id, reason)
    log.error("outbox.rejected", consumer=claim.consumer, incident_id=incident_id, reason=reason, parked=parked)
