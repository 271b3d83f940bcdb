"""The outbox: what consumers still have to process, committed together with the change that caused it.

An entry names a consumer and an incident and carries no content. A consumer claims entries by compare-and-set with a
lease (so it works on SQLite too), reads the current state, does its work, and deletes exactly the entries it
claimed. An entry written in the meantime stays for the next round. A consumer whose service cannot be reached releases
its claim without counting a try. An entry that the service keeps rejecting is parked: visible, and blocking no others.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.utils import timezone

from incidents.models import Incident, OutboxEntry

log = structlog.get_logger(__name__)

PARKED_AT_ONCE = 100


def enqueue(incident_ids: Iterable[int], *, narrows: bool = False, consumers: Collection[str] | None = None) -> None:
    """Write one entry per consumer and incident. Call it inside the transaction of the change.

    `narrows`: fewer people can see the incidents, or less of them, than the index reflects. Until these entries are
    gone, queries exclude the incidents. `consumers`: the ones to notify; all by default.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("outbox.enqueue must be called inside the transaction of the change")
    OutboxEntry.objects.bulk_create(
        [
            OutboxEntry(consumer=consumer, incident_id=incident_id, narrows=narrows)
            for incident_id in incident_ids
            for consumer in (settings.OUTBOX_CONSUMERS if consumers is None else consumers)
        ],
        batch_size=500,
    )
    # One nudge is enough for a transaction, however much it changes.
    if not any(callback is nudge for _, callback, _ in transaction.get_connection().run_on_commit):
        transaction.on_commit(nudge, robust=True)


def enqueue_again(incident_ids: Iterable[int], *, consumer: str, narrows: bool = False) -> None:
    """Have a consumer process these incidents again although they did not change. `narrows` as in `enqueue`."""
    with transaction.atomic():
        enqueue(incident_ids, narrows=narrows, consumers=[consumer])


def nudge() -> None:
    """Tell a worker that there is work. Best effort: the beat schedule is the guarantee, so nothing is lost when the
    broker is down."""
    try:
        current_app.send_task(settings.OUTBOX_NUDGE, retry=False, expires=60)
    except Exception as error:
        log.warning("outbox.nudge_failed", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """The entries that one worker holds, coalesced by incident: {incident_id: [entry ids]}.

    `parked`: entries of the same incidents that were parked earlier.
    """

    consumer: str
    lease: uuid.UUID
    entries: dict[int, list[int]]
    tries: dict[int, int]
    parked: dict[int, list[int]]

    def __bool__(self) -> bool:
        return bool(self.entries)


def _due(consumer: str, now: datetime) -> Q:
    return (
        Q(consumer=consumer, parked_at__isnull=True)
        & (Q(not_before__isnull=True) | Q(not_before__lte=now))
        & (Q(leased_until__isnull=True) | Q(leased_until__lt=now))
    )


def claim(consumer: str, *, limit: int = 200) -> Claim:
    """Claim up to `limit` due entries for `consumer`. Losing all of them to a faster worker is a normal outcome."""
    now = timezone.now()
    due = _due(consumer, now)
    lease = uuid.uuid4()
    with transaction.atomic():
        # Where the database supports it, concurrent workers take different entries instead of waiting for each other.
        free = OutboxEntry.objects.select_for_update(skip_locked=True).filter(due).order_by("pk")
        ids = list(free.values_list("pk", flat=True)[:limit])
        # Repeating the condition in the update is the compare of the compare-and-set.
        OutboxEntry.objects.filter(due, pk__in=ids).update(lease=lease, leased_until=now + settings.OUTBOX_LEASE)
    entries: dict[int, list[int]] = {}
    tries: dict[int, int] = {}
    for pk, incident_id, tried in OutboxEntry.objects.filter(pk__in=ids, lease=lease).values_list(
        "pk", "incident_id", "tries"
    ):
        entries.setdefault(incident_id, []).append(pk)
        tries[incident_id] = max(tried, tries.get(incident_id, 0))
    parked: dict[int, list[int]] = {}
    if entries:
        rows = OutboxEntry.objects.filter(consumer=consumer, parked_at__isnull=False, incident_id__in=list(entries))
        for pk, incident_id in rows.values_list("pk", "incident_id"):
            parked.setdefault(incident_id, []).append(pk)
    return Claim(consumer, lease, entries, tries, parked)


def renew(claim: Claim) -> bool:
    """Extend the lease. False when nothing is held: the work is done, or the lease expired and another worker took
    over."""
    held = OutboxEntry.objects.filter(lease=claim.lease)
    return held.update(leased_until=timezone.now() + settings.OUTBOX_LEASE) > 0


def complete(claim: Claim, incident_ids: Iterable[int]) -> None:
    """Delete exactly the claimed entries of these incidents, if the lease is still ours. Also delete their entries that
    were parked earlier: the state delivered by this claim is newer than the one rejected then."""
    ids = list(incident_ids)
    OutboxEntry.objects.filter(pk__in=_entry_ids(claim.entries, ids), lease=claim.lease).delete()
    if parked := _entry_ids(claim.parked, ids):
        OutboxEntry.objects.filter(pk__in=parked, parked_at__isnull=False).delete()


def _entry_ids(entries: dict[int, list[int]], incident_ids: list[int]) -> list[int]:
    return [pk for incident_id in incident_ids for pk in entries.get(incident_id, [])]


def release(claim: Claim, *, wait: timedelta = timedelta(0), reason: str = "") -> None:
    """Release everything still held without counting a try: the consumer's service could not be reached."""
    OutboxEntry.objects.filter(lease=claim.lease).update(
        lease=None,
        leased_until=None,
        not_before=timezone.now() + wait if wait else None,
        last_error=reason[:500],
    )


def reject(claim: Claim, incident_id: int, reason: str) -> bool:
    """Count a try for a rejected incident, back off exponentially, and park it after the last. True when parked."""
    tries = claim.tries[incident_id] + 1
    parked = tries >= settings.OUTBOX_TRIES
    now = timezone.now()
    held = OutboxEntry.objects.filter(pk__in=claim.entries[incident_id], lease=claim.lease).update(
        tries=tries,
        lease=None,
        leased_until=None,
        not_before=now + timedelta(seconds=2**tries),
        parked_at=now if parked else None,
        last_error=reason[:500],
    )
    return parked and held > 0


def retry_parked() -> int:
    """Make parked entries due again, with no tries counted; returns how many."""
    parked = OutboxEntry.objects.filter(parked_at__isnull=False)
    return parked.update(parked_at=None, tries=0, not_before=None, last_error="")


@dataclass(frozen=True, slots=True)
class Parked:
    consumer: str
    incident_id: int
    reason: str


def parked() -> list[Parked]:
    """The latest PARKED_AT_ONCE parked entries, newest first, one per consumer and incident."""
    found: dict[tuple[str, int], Parked] = {}
    rows = OutboxEntry.objects.filter(parked_at__isnull=False).order_by("-parked_at", "-pk")
    for consumer, incident_id, reason in rows.values_list("consumer", "incident_id", "last_error")[:PARKED_AT_ONCE]:
        found.setdefault((consumer, incident_id), Parked(consumer, incident_id, reason))
    return list(found.values())


def narrowing_ids(consumer: str, *, among: Iterable[int] | None = None) -> list[int]:
    """Incidents, of all or of those in `among`, with a narrowing change that `consumer` has not processed yet. Its
    queries exclude them."""
    entries = OutboxEntry.objects.filter(consumer=consumer, narrows=True)
    if among is not None:
        entries = entries.filter(incident_id__in=list(among))
    return list(entries.values_list("incident_id", flat=True).distinct().order_by())


def waiting_ids(consumer: str) -> set[int]:
    """Incidents that `consumer` still has to process, including parked ones."""
    return set(OutboxEntry.objects.filter(consumer=consumer).values_list("incident_id", flat=True))


@dataclass(frozen=True, slots=True)
class Depth:
    """How far behind a consumer is.

    retrying     waiting entries that were rejected before
    tries        the most rejections of any waiting entry
    lag_seconds  age of the oldest waiting entry
    paused       whether the consumer's service could not be reached at the last attempt
    """

    consumer: str
    waiting: int = 0
    parked: int = 0
    retrying: int = 0
    tries: int = 0
    lag_seconds: float = 0.0
    paused: bool = False


def depths() -> list[Depth]:
    """The depth of each consumer in the settings, and of any other consumer that still has entries."""
    now = timezone.now()
    waits = Q(parked_at__isnull=True)
    # Only `release` leaves an error without counting a try.
    counts = OutboxEntry.objects.values("consumer").annotate(
        waiting=Count("pk", filter=waits),
        parked=Count("pk", filter=~waits),
        retrying=Count("pk", filter=waits & Q(tries__gt=0)),
        most=Max("tries", filter=waits),
        oldest=Min("created_at", filter=waits),
        released=Count("pk", filter=waits & Q(tries=0) & ~Q(last_error="")),
    )
    found = {
        row["consumer"]: Depth(
            consumer=row["consumer"],
            waiting=row["waiting"],
            parked=row["parked"],
            retrying=row["retrying"],
            tries=row["most"] or 0,
            lag_seconds=(now - row["oldest"]).total_seconds() if row["oldest"] else 0.0,
            paused=row["released"] > 0,
        )
        for row in counts.order_by()
    }
    return [found.get(name, Depth(name)) for name in sorted({*settings.OUTBOX_CONSUMERS, *found})]


def reindex(incidents: QuerySet[Incident]) -> None:
    """Reindex these incidents after a change to something that their documents share, such as a name or a pattern. Call
    it inside the transaction of the change.

    Other writers do not wait for that transaction. Until it commits, they can add an incident to this queryset and have
    it indexed in its old form, so the queryset is evaluated again after the commit.
    """
    known = set(incidents.values_list("pk", flat=True))
    if known:
        raise_index_version(known)

    def reindex_latecomers() -> None:
        if late := set(incidents.values_list("pk", flat=True)) - known:
            with transaction.atomic():
                raise_index_version(late)

    transaction.on_commit(reindex_latecomers, robust=True)


def lock_incidents(incident_ids: Iterable[int]) -> list[int]:
    """Take the row locks of these incidents, by ascending id; returns the ids of those that exist. Everything that
    locks several incidents uses this order, so that no two transactions deadlock."""
    rows = Incident.objects.select_for_update(no_key=True).filter(pk__in=list(incident_ids)).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def raise_index_version(incident_ids: Iterable[int], *, consumers: Collection[str] | None = None) -> None:
    """Reindex these incidents after a change outside their own rows, such as a name or a tag. `consumers` as in
    `enqueue`."""
    ids = list(incident_ids)
    # An update alone would lock the rows in no particular order.
    lock_incidents(ids)
    Incident.objects.filter(pk__in=ids).update(index_version=F("index_version") + 1)
    enqueue(ids, consumers=consumers)
