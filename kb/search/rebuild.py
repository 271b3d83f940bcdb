"""Building the next generation of the Elasticsearch index while people search and write.

    1. throw away what is no use: generations that were never finished, are lost, or come from another record
    2. make an empty generation; from now on every write goes to it as well
    3. fill it from the record, by keyset, in batches
    4. gate: the (id, version) sets of the record and of the generation must be equal, but for what is on its way, and
       for documents that Elasticsearch refuses: those are enqueued, tried again and parked like any other
    5. swap the read alias in one call; the old generation is still written to, for rollback, until it is retired
A writer that had read the list of generations just before the new one was made wrote what was committed before it was
filled.
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
from kb.search import in_step
from kb.search.alone import alone
from kb.search.document import build_many
from kb.search.elastic import generations, lineage
from kb.search.elastic.client import PATIENCE, client, reachable
from kb.search.elastic.engine import CONSUMER, operations, send, source_and_version, versions_in, write
from kb.search.elastic.generations import Generation
from kb.search.engine import Unavailable
from kb.search.plan import Outcome, differences

log = structlog.get_logger(__name__)

BATCH = 500
GATE_ROUNDS = 20
# After a gate that stayed closed, `ensure` leaves it at that for so long: what was in the way will still be there.
PAUSE = timedelta(minutes=5)

Progress = Callable[[int], None]


class GateClosed(Exception):
    """The new generation still differs from the record, so readers were not switched to it."""

    def __init__(self, generation: Generation, differing: dict[int, Outcome]) -> None:
        self.generation, self.differing = generation, differing
        some = ", ".join(f"INC-{pk}" for pk in sorted(differing)[:5])
        super().__init__(
            f"{generation.name} was not promoted: it differs from the record in {len(differing)} incidents ({some})."
        )


class AtWork(Exception):
    """Another process is already building a generation."""

    def __init__(self) -> None:
        super().__init__("Another process is already building a generation. `search_index status` shows its progress.")


def total() -> int:
    """How many incidents a rebuild goes through, for its progress bar."""
    return Incident.objects.filter(deleted_at__isnull=True).count()


def rebuild(progress: Progress | None = None) -> Generation:
    """A new generation, filled, compared, and promoted. Raises AtWork, GateClosed, and Unavailable when Elasticsearch
    goes away."""
    with alone("search-rebuild") as is_mine:
        if not is_mine:
            raise AtWork
        return _rebuild(progress)


def _rebuild(progress: Progress | None = None) -> Generation:
    _clear_away()
    generation = generations.create()
    log.info("rebuild.began", generation=generation.name)
    promote(generation, refused=fill(generation, progress))
    return generation


def ensure() -> bool:
    """See to it that a generation of this record answers, and build one if there is none: on the first start, after
    Elasticsearch lost its data, after the database was restored from a backup, after an upgrade that analyses text
    otherwise. Returns whether one answers now, and never raises for what can be tried again later."""
    pause = f"search-rebuild-pauses:{generations.prefix()}"
    try:
        if _is_there():
            return True
        if cache.get(pause):
            return False
        with alone("search-rebuild") as is_mine:
            # Somebody else may just have come to the end.
            if is_mine and not _is_there():
                _rebuild()
            return is_mine
    except Unavailable as error:
        log.warning("rebuild.postponed", error=str(error))
    except GateClosed as error:
        cache.set(pause, True, PAUSE.total_seconds())
        log.error("rebuild.postponed", error=str(error), pause=str(PAUSE))
    return False


def _is_there() -> bool:
    try:
        return lineage.is_ours(generations.read_alias())
    except LookupError:
        return False


def _clear_away() -> None:
    existing, lost = generations.generations(), generations.lost()
    present = next((g for g in existing if g.reads), None)
    for generation in existing:
        is_unfinished = present is None or generation.number > present.number
        if is_unfinished or generation.name in lost or not lineage.is_ours(generation.name):
            log.warning("rebuild.threw_away", generation=generation.name)
            generations.throw_away(generation)


def fill(generation: Generation, progress: Progress | None = None) -> dict[int, str]:
    """Write every incident into the generation; returns {id: reason} of those that Elasticsearch refuses. What changes
    meanwhile arrives by the relay, with a later version."""
    refused: dict[int, str] = {}
    # While Elasticsearch is busy with one batch, the next is built.
    with _without_refresh(generation), ThreadPoolExecutor(1) as sender:
        sending: Future[dict[int, str]] | None = None
        for ids in _batches():
            batch = operations(source_and_version(build_many(ids).values()), [generation.name])
            refused |= sending.result() if sending else {}
            sending = sender.submit(send, batch, budget=PATIENCE)
            if progress:
                progress(len(ids))
        refused |= sending.result() if sending else {}
    return refused


def differing(generation: Generation) -> dict[int, Outcome]:
    """What in the generation is not as the record has it, though nothing in the outbox will bring it there."""
    # Read before the generation: what is delivered in between is then taken for what it was.
    waiting = outbox.waiting_ids(CONSUMER)
    with reachable():
        client().indices.refresh(index=generation.name)
    found = differences(versions_in(generation.name))
    return {pk: outcome for pk, outcome in found.items() if pk not in waiting}


def promote(generation: Generation, *, refused: Mapping[int, str] | None = None) -> None:
    """Send readers to the generation once it equals the record. While people write, the gate is tried again, each time
    after bringing in what was missing. What Elasticsearch refuses, now or when the generation was filled, is not waited
    for. Raises GateClosed."""
    absent = dict(refused or {})
    missing: dict[int, Outcome] = {}
    for _ in range(GATE_ROUNDS):
        missing = {pk: outcome for pk, outcome in differing(generation).items() if pk not in absent}
        if not missing:
            break
        documents = build_many(pk for pk, outcome in missing.items() if outcome is Outcome.INDEX)
        absent |= write(source_and_version(documents.values()), [generation.name], budget=PATIENCE)
        time.sleep(0.1)
    else:
        raise GateClosed(generation, missing)
    generations.swap(generation)
    in_step.add(CONSUMER)
    for pk, reason in absent.items():
        log.error("rebuild.refused", generation=generation.name, incident_id=pk, reason=reason)
    if absent:
        # Tried once more and then parked, each is told to whoever looks after the index, until it is mended.
        outbox.enqueue_again(absent, consumer=CONSUMER)
    log.info("rebuild.promoted", generation=generation.name, refused=len(absent))


def rollback() -> Generation:
    """Send readers back to the generation before the present one. Raises LookupError when there is none."""
    existing = generations.generations()
    present = next((g for g in existing if g.reads), None)
    before = [g for g in existing if present and g.number < present.number and g.writes]
    if not before:
        raise LookupError("There is no earlier generation to roll back to.")
    generations.swap(before[-1])
    return before[-1]


def retire() -> list[Generation]:
    """Delete every generation that nobody reads."""
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
    """Nobody reads the generation yet, so making its documents searchable every second would be work for nothing."""

    def __init__(self, generation: Generation) -> None:
        self.name = generation.name

    def _set(self, interval: str | None) -> None:
        with reachable():
            client().indices.put_settings(index=self.name, settings={"index": {"refresh_interval": interval}})

    def __enter__(self) -> None:
        self._set("-1")

    def __exit__(self, *_: object) -> None:
        self._set("1s")
