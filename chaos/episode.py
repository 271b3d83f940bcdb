"""Runs faults in one installation: `python -m chaos.episode FAULT ...`, called by `python -m chaos`.

The verdict on each fault is reached before the next one strikes. An episode needs a process of its own, because
Django's settings name the database of its installation.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.application import Application
from chaos.cast import Cast
from chaos.faults import FAULTS, Fault
from chaos.history import History
from chaos.services import Services

if TYPE_CHECKING:
    from chaos.readers import Readers
    from chaos.verdict import Verdict
    from chaos.writers import Writers

STRIKES_AT = 0.3
PATIENCE = 120.0


@dataclass
class Scene:
    """What a fault can act on. `seconds` is the duration of faults that do not end by themselves."""

    services: Services
    application: Application
    writers: Writers
    database: str
    prefix: str
    folder: Path
    seconds: float

    def wait(self) -> None:
        time.sleep(self.seconds)


@dataclass
class Outcome:
    """One row of the table, with the details behind its numbers.

    `degraded` is the share of searches that the database answered instead of Elasticsearch. `converged_after` is in
    seconds, or None if the indexes did not converge within the limit.
    """

    fault: str
    writes: int = 0
    failed: int = 0
    requests: int = 0
    degraded: float = 0.0
    slowest_write: float = 0.0
    slowest_read: float = 0.0
    lost: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    converged_after: float | None = None
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.converged_after is not None and not (self.lost or self.stale or self.leaked or self.errors)


def play(faults: list[Fault], services: Services, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run the faults; yields their outcomes. Django must be set up for the database and index of this episode."""
    from chaos.readers import Readers
    from chaos.writers import Writers

    began = time.monotonic()
    cast, history = Cast.read(options.cast), History()
    writers = Writers(cast, history, most=options.writes, per_second=options.per_second)
    writers.seed(options.seeds)
    with options.application as application:
        scene = Scene(services, application, writers, options.database, options.prefix, options.folder, options.seconds)
        for fault in faults:
            outcome = strike(fault, scene, Readers(application.address, cast.tokens, history, rest=options.rest))
            outcome.seconds = time.monotonic() - began
            yield outcome
            began = time.monotonic()


def strike(fault: Fault, scene: Scene, readers: Readers) -> Outcome:
    """Let a fault strike during writes and reads; returns its outcome."""
    settle(readers, PATIENCE)
    deaths_before = len(scene.application.deaths)
    readers.start()
    striking = Strike(fault, scene)
    try:
        scene.writers.start()
        scene.writers.wait_for(STRIKES_AT)
        striking.start()
        scene.writers.join()
        striking.join()
        calm = time.monotonic()
        converged = settle(readers, PATIENCE)
    finally:
        readers.stop()
    outcome = report(fault, scene.writers, readers)
    outcome.converged_after = converged - calm if converged is not None else None
    outcome.errors += striking.errors
    outcome.errors += unexpected_deaths(scene.application.deaths[deaths_before:], fault)
    return outcome


def unexpected_deaths(deaths: list[tuple[str, int]], fault: Fault) -> list[str]:
    """The deaths that the fault did not cause. Without a supervisor, each would bring an installation to a halt."""
    return [
        f"{name} ended by itself with exit code {code}"
        for name, code in deaths
        if not (fault.doomed and code == -signal.SIGKILL)
    ]


class Strike(threading.Thread):
    """Injects the fault while the writers run. Failing to inject it counts as an error."""

    def __init__(self, fault: Fault, scene: Scene) -> None:
        super().__init__(name="fault")
        self.fault, self.scene = fault, scene
        self.errors: list[str] = []

    def run(self) -> None:
        try:
            self.fault.strike(self.scene)
        except Exception as error:
            self.errors.append(f"the fault could not be injected or ended: {type(error).__name__}: {error}")


def settle(readers: Readers, patience: float) -> float | None:
    """Wait until both indexes equal the record and Elasticsearch answers again.

    Returns the monotonic time of the check that found it so, or None after `patience` seconds.
    """
    from django.db import InterfaceError, OperationalError, connection

    from chaos.verdict import differences

    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        now = time.monotonic()
        # If PostgreSQL is unavailable or has just come back, nothing has converged yet.
        with suppress(OperationalError, InterfaceError):
            if not differences() and readers.engine_now() == "elasticsearch":
                return now
        # The next check must not reuse a connection that a fault has cut.
        connection.close()
        time.sleep(0.25)
    return None


def report(fault: Fault, writers: Writers, readers: Readers) -> Outcome:
    from chaos.verdict import verdict

    tally, observed = writers.tally, readers.observed
    alive = {one.name: one.pk for mine in writers.tracked for one in mine if not one.gone}
    found: Verdict = verdict(alive)
    errors = [*tally.broken, *observed.errors]
    if not fault.database_away:
        errors += tally.failed
    answers = observed.answers.total()
    degraded = sum(count for name, count in observed.answers.items() if "degraded" in name)
    return Outcome(
        fault.name,
        writes=tally.total,
        failed=len(tally.failed),
        requests=observed.requests,
        degraded=degraded / answers if answers else 0.0,
        slowest_write=tally.slowest,
        slowest_read=observed.slowest,
        lost=found.lost,
        stale=found.stale,
        leaked=observed.leaks,
        errors=errors,
    )


def main() -> int:
    options = _options()
    faults = [fault for fault in FAULTS if fault.name in options.faults]
    services = Services(
        options.services, ports=json.loads(options.ports), shared=bool(options.shared), redis=options.redis
    )
    options.application = Application(
        services,
        database=options.database,
        prefix=options.prefix,
        folder=options.folder,
        doomed=any(fault.doomed for fault in faults),
    )
    import os

    import django

    os.environ.update(options.application.env)
    # The campaign's own checks of Elasticsearch must not go through the proxy.
    os.environ["ELASTICSEARCH_URL"] = services.elasticsearch_url
    django.setup()
    with options.result.open("a") as result:
        for outcome in play(faults, services, options):
            print(json.dumps(asdict(outcome)), file=result, flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="+")
    for name, kind in (("services", Path), ("ports", str), ("cast", Path), ("folder", Path), ("result", Path)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("shared", "redis", "writes", "seeds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("per-second", "seconds", "rest"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--prefix", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
