"""Builds the next generation of the Elasticsearch index while people search and write.

    1. Throw away useless generations: those that were never finished, are lost, or come from another record.
    2. Create an empty generation. From now on, every write goes to it as well.
    3. Fill it from the record, in batches, by keyset.
    4. Gate: the (id, version) sets of the record and of the generation must be equal. The exceptions are changes that
       are still in the outbox, and documents that Elasticsearch refuses: they are enqueued, retried and parked like any
       other.
    5. Swap the read alias in one call. The old generation is still written to, for rollback, until it is retired.

A writer that listed the generations just before step 2 misses the new one. That loses nothing: what it writes was
committed before step 3 reads the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import structlog
from django.core.cache import cache

from incidents import outbox
from incidents.models import Incident
from kb.search import engines_in_step
from kb.search.document import build_many
from kb.search.elastic import generations, lineage
from kb.search.elastic.client import MAINTENANCE_BUDGET, client, raising_unavailable
from kb.search.elastic.engine import CONSUMER, operations, send, source_and_version, versions_in, write
from kb.search.elastic.generations import Generation
from kb.search.engine import Unavailable
from kb.search.locks import try_lock
from kb.search.plan import Outcome, differences

log = structlog.get_logger(__name__)

BATCH = 500
GATE_ROUNDS = 20
# How long `ensure_generation` waits after the gate stayed closed: whatever kept it closed will not clear up at once.
RETRY_PAUSE = timedelta(minutes=5)

Progress = Callable[[int], None]


class GateClosed(Exception):
    """The new generation still differs from the record, so readers were not switched to it."""

    def __init__(self, generation: Generation, differing: dict[int, Outcome]) -> None:
        self.generation, self.differing = generation, differing
        some = ", ".join(f"INC-{pk}" for pk in sorted(differing)[:5])
        super().__init__(
            f"{generation.name} was not promoted: it differs from the record in {len(differing)} incidents ({some})."
        )


class RebuildInProgress(Exception):
    """Another process is already building a generation."""

    def __init__(self) -> None:
        super().__init__("Another process is already building a generation. `search_index status` lists it.")


def total() -> int:
    """The number of incidents that a rebuild goes through, for its progress bar."""
    return Incident.objects.filter(deleted_at__isnull=True).count()


def rebuild(progress: Progress | None = None) -> Generation:
    """Build a generation, compare it with the record, and promote it.

    Raises RebuildInProgress, GateClosed and Unavailable.
    """
    with try_lock("search-rebuild") as is_held:
        if not is_held:
            raise RebuildInProgress
        return _rebuild(progress)


def _rebuild(progress: Progress | None = None) -> Generation:
    _delete_unusable()
    generation = generations.create()
    log.info("rebuild.began", generation=generation.name)
    promote(generation, refused=fill(generation, progress))
    return generation


def ensure_generation() -> bool:
    """Make sure that a generation of this record can answer, building one if there is none.

    There is none on the first start, and after Elasticsearch lost its data, the database was restored from a backup, or
    an upgrade changed how text is analyzed. Returns whether there is one now. Failures that can be retried later are
    logged and not raised.
    """
    pause = f"search-rebuild-pauses:{generations.prefix()}"
    try:
        if _can_answer():
            return True
        if cache.get(pause):
            return False
        with try_lock("search-rebuild") as is_held:
            # Check again under the lock: another process may just have finished.
            if is_held and not _can_answer():
                _rebuild()
            return is_held
    except Unavailable as error:
        log.warning("rebuild.postponed", error=str(error))
    except GateClosed as error:
        cache.set(pause, True, RETRY_PAUSE.total_seconds())
        log.error("rebuild.postponed", error=str(error), pause=str(RETRY_PAUSE))
    return False


def _can_answer() -> bool:
    try:
        return lineage.is_ours(generations.read_alias())
    except LookupError:
        return False


def _delete_unusable() -> None:
    existing, lost_names = generations.generations(), generations.lost_names()
    serving = next((g for g in existing if g.reads), None)
    for generation in existing:
        is_unfinished = serving is None or generation.number > serving.number
        if is_unfinished or generation.name in lost_names or not lineage.is_ours(generation.name):
            log.warning("rebuild.threw_away", generation=generation.name)
            generations.delete(generation)


def fill(generation: Generation, progress: Progress | None = None) -> dict[int, str]:
    """Write every incident into the generation. Returns {id: reason} of those that Elasticsearch refuses. Changes made
    in the meantime arrive through the relay, with a later version."""
    refused: dict[int, str] = {}
    # The next batch is built while Elasticsearch works on the previous one.
    with _without_refresh(generation), ThreadPoolExecutor(1) as sender:
        sending: Future[dict[int, str]] | None = None
        for ids in _batches():
            batch = operations(source_and_version(build_many(ids).values()), [generation.name])
            refused |= sending.result() if sending else {}
            sending = sender.submit(send, batch, budget=MAINTENANCE_BUDGET)
            if progress:
                progress(len(ids))
        refused |= sending.result() if sending else {}
    return refused


def remaining_differences(generation: Generation) -> dict[int, Outcome]:
    """Where the generation differs from the record, apart from what the outbox is still going to deliver."""
    # Read before the generation is: an entry delivered in between still counts as waiting.
    waiting = outbox.waiting_ids(CONSUMER)
    with raising_unavailable():
        client().indices.refresh(index=generation.name)
    found = differences(versions_in(generation.name))
    return {pk: outcome for pk, outcome in found.items() if pk not in waiting}


def promote(generation: Generation, *, refused: Mapping[int, str] | None = None) -> None:
    """Switch readers to the generation once it equals the record.

    Because people keep writing, the gate is tried several times, each time after writing what was missing. Documents
    that Elasticsearch refuses, now or when the generation was filled (`refused`), do not keep it closed. Raises
    GateClosed and Unavailable.
    """
    absent = dict(refused or {})
    missing: dict[int, Outcome] = {}
    for _ in range(GATE_ROUNDS):
        missing = {pk: outcome for pk, outcome in remaining_differences(generation).items() if pk not in absent}
        if not missing:
            break
        documents = build_many(pk for pk, outcome in missing.items() if outcome is Outcome.INDEX)
        absent |= write(source_and_version(documents.values()), [generation.name], budget=MAINTENANCE_BUDGET)
        time.sleep(0.1)
    else:
        raise GateClosed(generation, missing)
    generations.swap(generation)
    engines_in_step.add(CONSUMER)
    for pk, reason in absent.items():
        log.error("rebuild.refused", generation=generation.name, incident_id=pk, reason=reason)
    if absent:
        # They are retried and then parked, so that they are reported to the operators until they are repaired.
        outbox.enqueue_again(absent, consumer=CONSUMER)
    log.info("rebuild.promoted", generation=generation.name, refused=len(absent))


def rollback() -> Generation:
    """Switch readers back to the generation before the current one. Raises LookupError if there is none."""
    existing = generations.generations()
    serving = next((g for g in existing if g.reads), None)
    before = [g for g in existing if serving and g.number < serving.number and g.writes]
    if not before:
        raise LookupError("There is no earlier generation to roll back to.")
    generations.swap(before[-1])
    return before[-1]


def retire() -> list[Generation]:
    """Delete every generation that is not being read, and return them."""
    unread = [g for g in generations.generations() if not g.reads]
    for generation in unread:
        generations.retire(generation)
    return unread


def _batches() -> Iterator[list[int]]:
    last = 0
    while ids := list(
        Incident.objects.filter(pk__gt=last, deleted_at__isnull=True)
        .order_by("pk")
        .values_list("pk", flat=True)[:BATCH]
    ):
        yield ids
        last = ids[-1]


class _without_refresh:
    """Turns off refreshes: no search reads the generation yet, so making its documents searchable would be wasted
    work."""

    def __init__(self, generation: Generation) -> None:
        self.name = generation.name

    def _set(self, interval: str | None) -> None:
        with raising_unavailable():
            client().indices.put_settings(index=self.name, settings={"index": {"refresh_interval": interval}})

    def __enter__(self) -> None:
        self._set("-1")

    def __exit__(self, *_: object) -> None:
        self._set("1s")
