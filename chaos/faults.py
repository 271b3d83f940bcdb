"""The faults. Each one strikes during writes and searches, and is over when its function returns."""

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
    """`strike` injects the fault and ends it.

    With `database_away`, the database can refuse writes until the fault ends. With `doomed`, it needs workers that can
    be made to die (see chaos.doomed), and their deaths by SIGKILL are expected.
    """

    name: str
    strike: Callable[[Scene], None]
    database_away: bool = False
    doomed: bool = False


def nothing(scene: Scene) -> None:
    scene.wait()


# --- Elasticsearch ---------------------------------------------------------------------------------
def elasticsearch_stopped(scene: Scene) -> None:
    scene.services.stop("elasticsearch")
    scene.wait()
    scene.services.up("elasticsearch")


def elasticsearch_killed(scene: Scene) -> None:
    scene.services.kill("elasticsearch")
    scene.services.up("elasticsearch")


def elasticsearch_emptied(scene: Scene) -> None:
    scene.services.kill("elasticsearch")
    scene.services.empty_elasticsearch()
    scene.services.up("elasticsearch")


def elasticsearch_slow(scene: Scene) -> None:
    scene.application.proxy.tell("3")
    scene.wait()
    scene.application.proxy.tell("0")


def elasticsearch_silent(scene: Scene) -> None:
    """Elasticsearch accepts every request and answers none."""
    scene.application.proxy.tell("600")
    scene.wait()
    scene.application.proxy.tell("0")


def elasticsearch_red(scene: Scene) -> None:
    """The only copy of the live index is not allocated to any node."""
    direct = _direct(scene)
    index = _answering(direct, scene)
    direct.indices.put_settings(index=index, settings={"index.routing.allocation.enable": "none"})
    direct.indices.close(index=index, wait_for_active_shards="0")
    direct.indices.open(index=index, wait_for_active_shards="0")
    if direct.cluster.health(index=index)["status"] != "red":
        raise RuntimeError("the index did not turn red")
    scene.wait()
    direct.indices.put_settings(index=index, settings={"index.routing.allocation.enable": None})
    direct.cluster.reroute(retry_failed=True)
    direct.cluster.health(index=index, wait_for_status="yellow", timeout="30s")


def elasticsearch_closed(scene: Scene) -> None:
    direct = _direct(scene)
    index = _answering(direct, scene)
    direct.indices.close(index=index)
    scene.wait()
    direct.indices.open(index=index)


def elasticsearch_full(scene: Scene) -> None:
    """The block that Elasticsearch sets when a disk passes the flood stage, and lifts when there is space again."""
    direct = _direct(scene)
    indices = f"{scene.prefix}-*"
    direct.indices.put_settings(index=indices, settings={"index.blocks.read_only_allow_delete": True})
    scene.wait()
    direct.indices.put_settings(index=indices, settings={"index.blocks.read_only_allow_delete": None})


def _direct(scene: Scene) -> Elasticsearch:
    return Elasticsearch(scene.services.elasticsearch_url, request_timeout=60)


def _answering(direct: Elasticsearch, scene: Scene) -> str:
    return str(next(iter(direct.indices.get_alias(name=f"{scene.prefix}-read"))))


# --- Redis -----------------------------------------------------------------------------------------
def redis_stopped(scene: Scene) -> None:
    scene.services.stop("redis")
    scene.wait()
    scene.services.up("redis")


def redis_restarted(scene: Scene) -> None:
    scene.services.kill("redis")
    scene.services.up("redis")


def redis_flushed(scene: Scene) -> None:
    with redis.Redis.from_url(scene.services.broker_url) as broker:
        broker.flushall()
    scene.wait()


def nudges_repeated_and_reversed(scene: Scene) -> None:
    """The workers are suspended until nudges have queued up; each is then delivered twice, the last one first."""
    with redis.Redis.from_url(scene.services.broker_url) as broker, _suspended_workers(scene):
        scene.wait()
        with broker.pipeline() as atomic:
            queued = broker.lrange("celery", 0, -1)
            atomic.delete("celery")
            for message in [*queued, *queued]:
                atomic.lpush("celery", message)
            atomic.execute()


@contextmanager
def _suspended_workers(scene: Scene) -> Iterator[None]:
    for worker in scene.application.workers:
        worker.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in scene.application.workers:
            worker.send(signal.SIGCONT)


# --- PostgreSQL ------------------------------------------------------------------------------------
def postgresql_restarted(scene: Scene) -> None:
    scene.services.stop("postgresql")
    scene.services.up("postgresql")


def database_restored(scene: Scene) -> None:
    """Restore an earlier dump, so that the index has incidents and versions that the record does not know."""
    dumped = scene.folder / "yesterday.dump"
    databases.dump(scene.services, scene.database, dumped)
    scene.wait()
    scene.writers.pause()
    scene.writers.doubt()
    databases.restore(scene.services, scene.database, dumped)
    scene.writers.after_restore()
    scene.writers.resume()


# --- Workers ---------------------------------------------------------------------------------------
def worker_killed(at: str) -> Callable[[Scene], None]:
    """A fault in which one worker dies at a step of a whole batch, and its replacement carries on."""

    def strike(scene: Scene) -> None:
        # While the workers are suspended, a batch builds up.
        with _suspended_workers(scene):
            scene.wait()
            scene.application.dies_on.write_text(at)
        limit = time.monotonic() + 30
        while scene.application.dies_on.exists():
            if time.monotonic() > limit:
                raise RuntimeError("no worker reached the step at which it was to die")
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
