"""What goes wrong. Each fault strikes while people write and search, and is over when its function returns."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from elasticsearch import Elasticsearch

from chaos import databases

if TYPE_CHECKING:
    from chaos.episode import Scene


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` makes it happen and ends it. `database_away`: writes may be refused meanwhile. `doomed`: its workers can
    be made to die."""

    name: str
    strike: Callable[[Scene], None]
    database_away: bool = False
    doomed: bool = False


def nothing(scene: Scene) -> None:
    scene.last()


# --- Elasticsearch ---------------------------------------------------------------------------------
def elasticsearch_stopped(scene: Scene) -> None:
    scene.surroundings.stop("elasticsearch")
    scene.last()
    scene.surroundings.up("elasticsearch")


def elasticsearch_killed(scene: Scene) -> None:
    scene.surroundings.kill("elasticsearch")
    scene.surroundings.up("elasticsearch")


def elasticsearch_emptied(scene: Scene) -> None:
    scene.surroundings.kill("elasticsearch")
    scene.surroundings.empty_elasticsearch()
    scene.surroundings.up("elasticsearch")


def elasticsearch_slow(scene: Scene) -> None:
    scene.application.proxy.tell("3")
    scene.last()
    scene.application.proxy.tell("0")


def elasticsearch_silent(scene: Scene) -> None:
    """It takes every request and answers none."""
    scene.application.proxy.tell("600")
    scene.last()
    scene.application.proxy.tell("0")


def elasticsearch_red(scene: Scene) -> None:
    """The only copy of the index that answers is assigned to no node."""
    direct = _direct(scene)
    index = _answering(direct, scene)
    direct.indices.put_settings(index=index, settings={"index.routing.allocation.enable": "none"})
    direct.indices.close(index=index, wait_for_active_shards="0")
    direct.indices.open(index=index, wait_for_active_shards="0")
    if direct.cluster.health(index=index)["status"] != "red":
        raise RuntimeError("the index did not turn red")
    scene.last()
    direct.indices.put_settings(index=index, settings={"index.routing.allocation.enable": None})
    direct.cluster.reroute(retry_failed=True)
    direct.cluster.health(index=index, wait_for_status="yellow", timeout="30s")


def elasticsearch_closed(scene: Scene) -> None:
    direct = _direct(scene)
    index = _answering(direct, scene)
    direct.indices.close(index=index)
    scene.last()
    direct.indices.open(index=index)


def elasticsearch_full(scene: Scene) -> None:
    """What Elasticsearch itself sets when its disk passes the flood stage, and takes away when there is room again."""
    direct = _direct(scene)
    indices = f"{scene.prefix}-*"
    direct.indices.put_settings(index=indices, settings={"index.blocks.read_only_allow_delete": True})
    scene.last()
    direct.indices.put_settings(index=indices, settings={"index.blocks.read_only_allow_delete": None})


def _direct(scene: Scene) -> Elasticsearch:
    return Elasticsearch(scene.surroundings.elasticsearch_url, request_timeout=60)


def _answering(direct: Elasticsearch, scene: Scene) -> str:
    return str(next(iter(direct.indices.get_alias(name=f"{scene.prefix}-read"))))


# --- Redis -----------------------------------------------------------------------------------------
def redis_stopped(scene: Scene) -> None:
    scene.surroundings.stop("redis")
    scene.last()
    scene.surroundings.up("redis")


def redis_restarted(scene: Scene) -> None:
    scene.surroundings.kill("redis")
    scene.surroundings.up("redis")


def redis_flushed(scene: Scene) -> None:
    with redis.Redis.from_url(scene.surroundings.broker_url) as broker:
        broker.flushall()
    scene.last()


def nudges_repeated_and_reversed(scene: Scene) -> None:
    """The workers stand still until nudges have come together; each is then delivered twice, the last one first."""
    with redis.Redis.from_url(scene.surroundings.broker_url) as broker, _standing_still(scene):
        scene.last()
        with broker.pipeline() as atomic:
            queued = broker.lrange("celery", 0, -1)
            atomic.delete("celery")
            for message in [*queued, *queued]:
                atomic.lpush("celery", message)
            atomic.execute()


@contextmanager
def _standing_still(scene: Scene) -> Iterator[None]:
    for worker in scene.application.workers:
        worker.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in scene.application.workers:
            worker.send(signal.SIGCONT)


# --- PostgreSQL ------------------------------------------------------------------------------------
def postgresql_restarted(scene: Scene) -> None:
    scene.surroundings.stop("postgresql")
    scene.surroundings.up("postgresql")


def database_restored(scene: Scene) -> None:
    """Back to what it was a while ago: the index knows of incidents and versions that the record has never had."""
    dumped = scene.folder / "yesterday.dump"
    databases.dump(scene.surroundings, scene.database, dumped)
    scene.last()
    scene.writers.pause()
    scene.writers.doubt()
    databases.restore(scene.surroundings, scene.database, dumped)
    scene.writers.after_restore()
    scene.writers.resume()


# --- Workers ---------------------------------------------------------------------------------------
def worker_killed(at: str) -> Callable[[Scene], None]:
    """One worker dies at a step of its work on a whole batch; the one that comes in its place goes on."""

    def strike(scene: Scene) -> None:
        # Meanwhile the batch gathers.
        with _standing_still(scene):
            scene.last()
            scene.application.dies_on.write_text(at)
        limit = time.monotonic() + 30
        while scene.application.dies_on.exists():
            if time.monotonic() > limit:
                raise RuntimeError("no worker came to the step at which it should die")
            time.sleep(0.05)

    return strike


FAULTS = (
    Fault("nothing", nothing),
    Fault("elasticsearch-stopped", elasticsearch_stopped),
    Fault("elasticsearch-killed", elasticsearch_killed),
    Fault("elasticsearch-slow", elasticsearch_slow),
    Fault("elasticsearch-silent", elasticsearch_silent),
    Fault("elasticsearch-red", elasticsearch_red),
    Fault("elasticsearch-closed", elasticsearch_closed),
    Fault("elasticsearch-full", elasticsearch_full),
    Fault("elasticsearch-emptied", elasticsearch_emptied),
    Fault("redis-stopped", redis_stopped),
    Fault("redis-restarted", redis_restarted),
    Fault("redis-flushed", redis_flushed),
    Fault("nudges-twice-and-reversed", nudges_repeated_and_reversed),
    Fault("postgresql-restarted", postgresql_restarted, database_away=True),
    Fault("database-restored", database_restored, database_away=True),
    Fault("worker-killed-after-claim", worker_killed("claimed"), doomed=True),
    Fault("worker-killed-after-build", worker_killed("built"), doomed=True),
    Fault("worker-killed-in-mid-write", worker_killed("half-written"), doomed=True),
    Fault("worker-killed-after-write", worker_killed("written"), doomed=True),
    Fault("worker-killed-amid-tagging", worker_killed("half-tagged"), doomed=True),
)
