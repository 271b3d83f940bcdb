"""Runs steps in the order listed, a few at a time, each as soon as the steps it needs are done."""

import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from step import Outcome, Result, Step

HEARTBEAT_SECONDS = 30.0


def run(steps: Sequence[Step], folder: Path, *, heavy_at_once: int, show_output: bool) -> dict[str, Result]:
    """Run every step, even if an earlier one has failed, unless it needs that one."""
    results: dict[str, Result] = {}
    running: dict[Future[Result], Step] = {}
    waiting = list(steps)
    with _exit_on_sigterm(), ThreadPoolExecutor(len(steps)) as pool:
        try:
            while waiting or running:
                for step in _ready(waiting, running.values(), results, heavy_at_once):
                    waiting.remove(step)
                    missing = [need for need in step.needs if not results[need].passed]
                    if missing:
                        results[step.name] = Result(Outcome.NOT_RUN, note=f"needs {' and '.join(missing)}")
                        _report(step, results[step.name], show_output)
                        continue
                    print(f"      .. {step.name}", flush=True)
                    running[pool.submit(step.run, folder)] = step
                for future in _wait_for_any(running):
                    step = running.pop(future)
                    results[step.name] = future.result()
                    _report(step, results[step.name], show_output)
        except BaseException:
            for step in steps:
                step.kill()
            raise
    return results


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """A SIGTERM, as from a build server, stops everything that the check started, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ready(
    waiting: Sequence[Step], running: Iterable[Step], results: dict[str, Result], heavy_at_once: int
) -> list[Step]:
    free = heavy_at_once - sum(not step.light for step in running)
    chosen = []
    for step in waiting:
        if all(need in results for need in step.needs) and (step.light or free > 0):
            chosen.append(step)
            free -= not step.light
    return chosen


def _wait_for_any(running: dict[Future[Result], Step]) -> set[Future[Result]]:
    """Wait until at least one future is done; returns those that are. Prints what is running if that takes long."""
    if not running:
        return set()
    start = time.monotonic()
    while True:
        done, _ = wait(running, timeout=HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED)
        if done:
            return done
        names = ", ".join(step.name for step in running.values())
        print(f"      .. still running: {names} ({time.monotonic() - start:.0f} s)", flush=True)


def _report(step: Step, result: Result, show_output: bool) -> None:
    if result.output and (show_output or not result.passed):
        print(f"\n----- {step.name}: {' '.join(step.command)}\n{result.output.rstrip()}\n-----\n")
    print(line(step, result), flush=True)


def line(step: Step, result: Result) -> str:
    seconds = f"{result.seconds:6.1f} s" if result.outcome is not Outcome.NOT_RUN else " " * 8
    return f"{result.outcome.value:>8} {seconds}  {step.name:<34} {result.note}".rstrip()
