"""`python -m benches`: measures every figure and prints a table with the targets. Exit code 1 if one is missed."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benches import installation
from benches.figures import Figure
from chaos.services import Services, persistent

BENCHES = ("matcher", "retag", "rebuild", "search", "write", "embedded")
# When the output goes to a file, the table gets the width that it needs.
console = Console(width=None if sys.stdout.isatty() else 150)


def main() -> int:
    options = _options()
    # Exit through the cleanup code when terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    chosen = options.only or BENCHES
    figures: list[Figure] = []
    with persistent("benches") as services:
        if "matcher" in chosen:
            figures += _matcher(services, options)
        if set(chosen) & {"retag", "rebuild", "search", "write"}:
            figures += _full(services, options, chosen)
        if "embedded" in chosen:
            figures += _embedded(services, options)
    console.print(table(figures))
    console.print(f"{options.incidents:,} incidents; {time.monotonic() - began:.0f} s in total")
    return 1 if any(figure.is_met is False for figure in figures) else 0


def _matcher(services: Services, options: argparse.Namespace) -> list[Figure]:
    """The matcher needs only the rules and the texts, no services and no corpus."""
    console.print("measuring: matcher")
    env = installation.embedded(services, 0)
    return [Figure.read(stored) for stored in installation.measure("bench_matcher", env, rounds=options.rounds)]


def _full(services: Services, options: argparse.Namespace, chosen: Sequence[str]) -> list[Figure]:
    console.print("starting PostgreSQL, Redis and Elasticsearch for the benches")
    services.up()
    env = installation.full(services, options.incidents)
    installation.fill(services, env, options.incidents)
    found: list[Figure] = []

    def measure(name: str, **settings: object) -> None:
        console.print(f"measuring: {name}")
        figures = [Figure.read(stored) for stored in installation.measure(f"bench_{name}", env, **settings)]
        console.print(table(figures))
        found.extend(figures)

    if "retag" in chosen:
        measure("retag", rounds=options.rounds, workers=2)
    if "rebuild" in chosen:
        measure("rebuild", rounds=options.rounds)
    elif {"search", "write"}.intersection(chosen):
        installation.run([sys.executable, "manage.py", "search_index", "rebuild"], env)
    if "search" in chosen:
        with installation.web(env) as web:
            measure("search", rounds=options.rounds, queries=options.queries)
            resident = max(installation.megabytes(web.pid))
            found.append(Figure("resident memory of a web process", "MB", [resident], most=300))
    if "write" in chosen:
        with installation.workers(env, 2) as workers:
            measure("write", per_second=20, seconds=options.seconds, rounds=options.rounds)
            resident = max(size for worker in workers for size in installation.megabytes(worker.pid))
            found.append(Figure("resident memory of a worker", "MB", [resident], most=400))
    return found


def _embedded(services: Services, options: argparse.Namespace) -> list[Figure]:
    incidents = min(options.incidents, 10_000)
    env = installation.embedded(services, incidents)
    installation.fill(services, env, incidents)
    console.print(f"measuring: embedded, {incidents:,} incidents")
    with installation.web(env):
        settings = {"rounds": options.rounds, "queries": options.queries}
        return [Figure.read(stored) for stored in installation.measure("bench_embedded", env, **settings)]


def table(figures: list[Figure]) -> Table:
    out = Table(title="Results: medians of the rounds, with quartiles")
    out.add_column("figure")
    for column in ("median", "quartiles", "rounds", "target", ""):
        out.add_column(column, justify="right")
    for figure in figures:
        low, high = figure.spread
        verdict = {True: "met", False: "[red]missed[/red]", None: ""}[figure.is_met]
        spread = f"{figure.format_value(low)} to {figure.format_value(high)}" if len(figure.samples) > 1 else ""
        out.add_row(
            figure.name, figure.format_value(figure.median), spread, str(len(figure.samples)), figure.target, verdict
        )
    return out


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the speed on a generated corpus.")
    parser.add_argument("--incidents", type=int, default=100_000, help="incidents in the corpus (100,000)")
    parser.add_argument(
        "--only", action="append", choices=BENCHES, help="run only this bench; can be repeated: " + ", ".join(BENCHES)
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each bench (5)")
    parser.add_argument("--queries", type=int, default=300, help="different searches per round (300)")
    parser.add_argument("--seconds", type=float, default=15, help="seconds of writing per round (15)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
