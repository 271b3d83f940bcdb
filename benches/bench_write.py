"""The time from the commit of a write to the first search that finds it, at a steady rate of writes."""

from __future__ import annotations

import threading
import time
import uuid

from benches.figures import Figure, percentile
from incidents.actions.incidents import create_incident
from incidents.models import User
from incidents.scopes import Viewer
from kb.search.elastic import generations
from kb.search.elastic.client import client

# The refresh interval set in mapping.settings, plus one second for everything else.
MOST_SECONDS = 1.0 + 1.0
LOOK_EVERY = 0.05


def run(per_second: float, seconds: float, rounds: int) -> list[Figure]:
    author = Viewer.of(User.objects.get(email="author@bench.example"))
    waits = _waits(author, per_second, seconds * rounds)
    size = len(waits) // rounds
    parts = [waits[start : start + size] for start in range(0, size * rounds, size)]
    return [
        Figure("write to searchable, p50", "s", [percentile(part, 0.5) for part in parts]),
        Figure("write to searchable, p95", "s", [percentile(part, 0.95) for part in parts], most=MOST_SECONDS),
    ]


def _waits(author: Viewer, per_second: float, seconds: float) -> list[float]:
    """The seconds from commit to search of each write, in order."""
    committed: dict[str, float] = {}
    seen: dict[str, float] = {}
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=[committed, seen, over])
    watcher.start()
    began = time.monotonic()
    for number in range(int(per_second * seconds)):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        word = f"q7{uuid.uuid4().hex[:10]}"
        create_incident(actor=author, facts={"title": f"Written {word}", "team": "team-0"})
        committed[word] = time.monotonic()
    limit = time.monotonic() + 60
    while len(seen) < len(committed) and time.monotonic() < limit:
        time.sleep(LOOK_EVERY)
    over.set()
    watcher.join()
    if missing := len(committed) - len(seen):
        raise RuntimeError(f"{missing} writes were still not found after a minute")
    return [seen[word] - moment for word, moment in committed.items()]


def _watch(committed: dict[str, float], seen: dict[str, float], over: threading.Event) -> None:
    """Keep searching for writes not seen yet. Times are taken after the response, so they are never too early."""
    while not over.wait(LOOK_EVERY):
        waiting = [word for word in list(committed) if word not in seen][:500]
        if not waiting:
            continue
        found = client().search(
            index=generations.read_alias(), query={"terms": {"text.title": waiting}}, source=True, size=500
        )
        now = time.monotonic()
        for hit in found["hits"]["hits"]:
            seen[hit["_source"]["shown"]["title"].split()[-1]] = now
