"""Re-tagging: runs changed rules on every incident, in batches that several workers share and that survive a kill.

Loading the vocabulary gives a changed rule a new version. A round (`Retag`) then covers every incident, but only with
the changed rules. A batch is deleted in the transaction that writes its tags, so an interrupted batch is repeated and a
finished one is not. Incidents that change or appear during a round reach the tagger through the outbox.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import pairwise

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from incidents.actions.change import audit
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns.matcher import Rules
from kb.patterns.models import Pattern, PatternStatus, Retag, RetagBatch
from kb.patterns.tagging import BATCH, active_rules, plan_changes, write_plans

# How long a batch of a killed worker stays claimed. Must be longer than a batch takes.
LEASE: timedelta = settings.OUTBOX_LEASE


def begin(slugs: Iterable[str] | None = None) -> Retag | None:
    """The round in progress, or a new one if rules have changed since the last; None if there is nothing to do.

    `slugs` are rules to run again even if they have not changed; passing them starts a new round.
    """
    if slugs is None and not _is_needed():
        return None
    with transaction.atomic():
        # Row locks in a fixed order avoid deadlocks, and a second process then finds the round of the first.
        patterns = list(
            Pattern.objects.select_for_update(no_key=True).filter(status=PatternStatus.ACTIVE).order_by("pk")
        )
        if slugs is not None:
            Pattern.objects.filter(slug__in=slugs).update(rule_applied=0)
            patterns = list(Pattern.objects.filter(status=PatternStatus.ACTIVE).order_by("pk"))
        pending = {one.slug: one.rule_version for one in patterns if one.rule_applied != one.rule_version}
        running = Retag.objects.filter(finished_at__isnull=True).first()
        if running is not None and running.patterns == pending and slugs is None:
            return running
        if running is not None:
            running.delete()
        return _begin_round(pending) if pending else None


def work(
    *, rules: Rules | None = None, seconds: float | None = None, progress: Callable[[int], None] | None = None
) -> int:
    """Process batches of the current round until none is free or `seconds` have passed.

    Returns how many incidents were covered. Begins a round first if one is needed. Raises RulesMismatch
    (kb/patterns/tagging.py) if this process has other rules than the vocabulary in the database.
    """
    until = time.monotonic() + seconds if seconds is not None else None
    retag = begin()
    if retag is None:
        return 0
    active = active_rules(rules, only=retag.patterns)
    handled = 0
    while until is None or time.monotonic() < until:
        batch = _claim_batch(retag)
        if batch is None:
            _finish(retag)
            break
        ids = list(Incident.objects.filter(pk__range=(batch.first, batch.last)).values_list("pk", flat=True))
        versions_read, plans = plan_changes(active, ids)
        with transaction.atomic():
            write_plans(active, plans, versions_read)
            RetagBatch.objects.filter(pk=batch.pk, lease=batch.lease).delete()
        handled += len(ids)
        if progress:
            progress(len(ids))
    return handled


def _is_needed() -> bool:
    changed = Pattern.objects.filter(status=PatternStatus.ACTIVE).exclude(rule_applied=F("rule_version"))
    return changed.exists() or Retag.objects.filter(finished_at__isnull=True).exists()


def _begin_round(patterns: dict[str, int]) -> Retag:
    ids = list(Incident.objects.order_by("pk").values_list("pk", flat=True))
    # The first id of each batch, then one past the last id.
    bounds = [*ids[::BATCH], ids[-1] + 1] if ids else []
    retag = Retag.objects.create(patterns=patterns, batches_planned=max(len(bounds) - 1, 0), begun_at=timezone.now())
    RetagBatch.objects.bulk_create(
        [RetagBatch(retag=retag, first=first, last=following - 1) for first, following in pairwise(bounds)]
    )
    audit(Viewer.system(), "patterns.retagging", retag, patterns=patterns)
    return retag


def _claim_batch(retag: Retag) -> RetagBatch | None:
    """Claim a free batch for the time of its lease; None if there is none."""
    now = timezone.now()
    free = Q(retag=retag) & (Q(leased_until__isnull=True) | Q(leased_until__lt=now))
    lease = uuid.uuid4()
    while True:
        with transaction.atomic():
            batch = RetagBatch.objects.select_for_update(skip_locked=True).filter(free).order_by("first").first()
            if batch is None:
                return None
            # Repeating the condition in the update makes this a compare-and-set.
            won = RetagBatch.objects.filter(free, pk=batch.pk).update(lease=lease, leased_until=now + LEASE)
        if won:
            batch.lease = lease
            return batch


def _finish(retag: Retag) -> None:
    """Close the round, unless another worker still holds a batch or has closed it already."""
    with transaction.atomic():
        if retag.batches.exists():
            return
        if not Retag.objects.filter(pk=retag.pk, finished_at__isnull=True).update(finished_at=timezone.now()):
            return
        for slug, version in retag.patterns.items():
            Pattern.objects.filter(slug=slug, rule_version=version).update(rule_applied=F("rule_version"))
        audit(Viewer.system(), "patterns.retagged", retag, patterns=retag.patterns)
