"""Progress bars for commands. They are shown only on a terminal, on standard error, so that output can be piped."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


@contextmanager
def quiet_task_log() -> Iterator[None]:
    """Silence the log line for each task sent. A command that changes hundreds of incidents sends hundreds of nudges,
    which would bury the few lines of the command itself."""
    logger = logging.getLogger("django_structlog")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


class Bar:
    """A progress bar that the caller advances."""

    def __init__(self, progress: Progress, label: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)


@contextmanager
def bar(label: str, total: int) -> Iterator[Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, label, total)


def each(label: str, things: Sequence[Item]) -> Iterator[Item]:
    """Yield each thing in turn while a progress bar counts them."""
    with bar(label, len(things)) as progress_bar:
        for thing in things:
            yield thing
            progress_bar.advance()
