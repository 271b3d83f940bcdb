"""`python -m chaos`: runs every fault in turn and prints a table of the results.

The exit code is 1 if anything was lost, stale or leaked, if there was a server error, if a process died that no fault
killed, or if an installation did not converge.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from chaos import databases
from chaos.application import environment
from chaos.episode import Outcome
from chaos.faults import FAULTS, Fault
from chaos.services import NAMES, ROOT, Services, Trouble, free_port, shared, temporary

# The process id keeps campaigns apart that run on the same services.
OWN = f"chaos_{os.getpid()}"
_CAMPAIGN_NAME = re.compile(r"chaos_(\d+)")
BASE = f"{OWN}_base"
# The number of examples printed for each kind of failure, at most.
EXAMPLES = 5

# When the output goes to a file, the table gets the width that it needs.
console = Console(width=None if sys.stdout.isatty() else 170)


def main() -> int:
    options = _options()
    # Exit through the cleanup code when terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    began = time.monotonic()
    outcomes = []
    with _services(options) as services:
        with ThreadPoolExecutor(1) as background:
            services.up("postgresql", "redis")
            # Elasticsearch takes longest to start and is not needed yet.
            engine = background.submit(services.up, "elasticsearch")
            _prepare(services)
            engine.result()
        console.print(f"ready after {time.monotonic() - began:.0f} s")
        for faults in [chosen] if options.together else [[fault] for fault in chosen]:
            for outcome in _play(faults, services, options):
                outcomes.append(outcome)
                _report(outcome)
    console.print(table(outcomes))
    console.print(f"{len(outcomes)} faults in {time.monotonic() - began:.0f} s")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


@contextmanager
def _services(options: argparse.Namespace) -> Iterator[Services]:
    if not options.ports:
        console.print("starting PostgreSQL, Redis and Elasticsearch for this campaign")
        with temporary("chaos") as services:
            yield services
        return
    with shared(dict(zip(NAMES, options.ports, strict=True)), options.redis) as services:
        _sweep(services)
        try:
            yield services
        finally:
            _sweep(services, OWN)


def _sweep(services: Services, *over: str) -> None:
    """Remove the databases and indexes of the campaigns named in `over` and of those whose process is gone."""

    def is_left(name: str) -> bool:
        found = _CAMPAIGN_NAME.match(name)
        return found is not None and (found[0] in over or not _runs(int(found[1])))

    for name in filter(is_left, databases.names(services)):
        databases.drop(services, name)
    with Elasticsearch(services.elasticsearch_url) as elasticsearch:
        for index in filter(is_left, elasticsearch.indices.get(index="chaos_*")):
            elasticsearch.indices.delete(index=index)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _prepare(services: Services) -> None:
    """Create the database that is copied for each installation: complete except for incidents."""
    databases.create(services, BASE)
    env = environment(
        services,
        database=BASE,
        folder=services.folder,
        elasticsearch_port=services.ports["elasticsearch"],
        port=free_port(),
        prefix=BASE,
    )
    for words in (["manage.py", "migrate", "--verbosity", "0"], ["-m", "chaos.cast", str(_cast(services))]):
        done = subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True)
        if done.returncode:
            raise Trouble(f"{' '.join(words)}: {done.stdout}{done.stderr}")


def _play(faults: list[Fault], services: Services, options: argparse.Namespace) -> Iterator[Outcome]:
    """Run the faults in one installation; yields each outcome as soon as it is known."""
    name = f"{OWN}_{faults[0].name.replace('-', '_')}"
    folder = (options.logs or services.folder / "episodes") / faults[0].name
    folder.mkdir(parents=True, exist_ok=True)
    services.up()
    databases.copy(services, BASE, name)
    result = folder / "outcomes"
    result.write_text("")
    own = {"services": services.folder, "ports": json.dumps(services.ports), "cast": _cast(services)}
    own |= {"redis": services.redis, "shared": int(services.shared)}
    scale = {"writes": options.writes, "seeds": options.seeds, "seconds": options.seconds, "rest": options.rest}
    settings = {"folder": folder, "result": result, "database": name, "prefix": f"{OWN}-{name}", **own, **scale}
    words = [f"--{key}={value}" for key, value in settings.items()]
    names = [fault.name for fault in faults]
    reported = 0
    with (folder / "episode.log").open("wb") as log:
        command = [sys.executable, "-m", "chaos.episode", *names, f"--per-second={options.per_second}", *words]
        episode = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while episode.poll() is None:
                time.sleep(0.2)
                for outcome in _read_outcomes(result)[reported:]:
                    reported += 1
                    yield outcome
        finally:
            # Kill the whole process group: nothing may keep using services that are about to be removed.
            with suppress(ProcessLookupError):
                os.killpg(episode.pid, signal.SIGKILL)
            episode.wait()
            databases.drop(services, name)
    yield from _read_outcomes(result)[reported:]
    for fault in faults[len(_read_outcomes(result)) :]:
        end = (folder / "episode.log").read_text(errors="replace").splitlines()[-15:]
        yield Outcome(fault.name, errors=["the episode ended before this fault was over; its last output:", *end])


def _read_outcomes(result: Path) -> list[Outcome]:
    """The outcomes so far, one per line. Text after the last line break is still being written."""
    return [Outcome(**json.loads(line)) for line in result.read_text().split("\n")[:-1]]


def _cast(services: Services) -> Path:
    return services.folder / "cast.json"


def _report(outcome: Outcome) -> None:
    verdict = "good" if outcome.is_good else "[red]NOT GOOD[/red]"
    console.print(f"{outcome.fault}: {verdict} ({outcome.seconds:.0f} s)")
    for name in ("lost", "stale", "leaked", "errors"):
        found = getattr(outcome, name)
        for example in found[:EXAMPLES]:
            console.print(f"    {name}: {example}", markup=False, highlight=False)
        if len(found) > EXAMPLES:
            console.print(f"    {name}: and {len(found) - EXAMPLES} more")


def table(outcomes: list[Outcome]) -> Table:
    out = Table(title="Results by fault")
    out.add_column("fault")
    for column in (
        *("writes", "refused", "lost", "stale", "leaked", "server errors", "seconds to converge"),
        *("requests", "degraded", "slowest write", "slowest read"),
    ):
        out.add_column(column, justify="right")
    for outcome in outcomes:
        converged = "never" if outcome.converged_after is None else f"{outcome.converged_after:.1f}"
        out.add_row(
            outcome.fault,
            *(f"{outcome.writes:,}", f"{outcome.failed:,}"),
            *(_count(found) for found in (outcome.lost, outcome.stale, outcome.leaked, outcome.errors)),
            converged if outcome.converged_after is not None else f"[red]{converged}[/red]",
            *(f"{outcome.requests:,}", f"{outcome.degraded:.0%}"),
            *(f"{outcome.slowest_write:.1f} s", f"{outcome.slowest_read:.1f} s"),
        )
    return out


def _count(found: list[str]) -> str:
    return f"[red]{len(found)}[/red]" if found else "0"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Inject faults into real services and check the outcome."
    )
    names = [fault.name for fault in FAULTS]
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="FAULT",
        help=f"run only this fault; can be repeated: {', '.join(names)}",
    )
    parser.add_argument("--writes", type=int, default=1000, help="writes per fault (1000)")
    parser.add_argument("--per-second", type=float, default=40.0, help="writes per second, at most (40)")
    parser.add_argument("--seeds", type=int, default=60, help="incidents created before the first fault (60)")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of a fault in seconds (10)")
    parser.add_argument("--rest", type=float, default=0.01, help="a reader's pause between requests, in seconds (0.01)")
    parser.add_argument("--together", action="store_true", help="run all faults in the same installation")
    parser.add_argument(
        "--ports",
        nargs=3,
        type=int,
        metavar=tuple(name.upper() for name in NAMES),
        help="use running services that others share; only for faults that do not affect other users of them",
    )
    parser.add_argument("--redis", type=int, default=0, help="the database number to use on a shared Redis (0)")
    parser.add_argument("--logs", type=Path, help="a folder that keeps the logs of every process")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
