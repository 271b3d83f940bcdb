"""One step of the whole check: a command, the steps it needs, and its result."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# Generous: it only has to catch a step that hangs, also on a slow machine under load.
LIMIT_SECONDS = 40 * 60
GRACE_SECONDS = 15


class Outcome(Enum):
    PASSED = "ok"
    FAILED = "FAILED"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Result:
    outcome: Outcome
    seconds: float = 0.0
    output: str = ""
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


@dataclass(frozen=True)
class Step:
    """`judge` takes the exit code and the output, and returns "" or what is wrong; exit code 0 can still be a failure.
    `describe` makes the note of a step that passed from its output."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    needs: tuple[str, ...] = ()
    judge: Callable[[int, str], str] = lambda code, output: f"exit code {code}" if code else ""
    describe: Callable[[str], str] = lambda output: ""
    # A light step mostly waits for the network or a server, and needs no core of its own.
    light: bool = False
    processes: list["subprocess.Popen[str]"] = field(default_factory=list, compare=False)

    def run(self, folder: Path) -> Result:
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                self.command,
                cwd=folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            return Result(Outcome.FAILED, 0.0, str(error), f"{self.command[0]} could not be started")
        self.processes.append(process)
        try:
            output, _ = process.communicate(timeout=LIMIT_SECONDS)
            trouble = self.judge(process.returncode, output)
        except subprocess.TimeoutExpired:
            self.kill()
            output, trouble = process.communicate()[0], f"timed out after {LIMIT_SECONDS // 60} minutes"
        outcome = Outcome.FAILED if trouble else Outcome.PASSED
        return Result(outcome, time.monotonic() - start, output, trouble or self.describe(output))

    def kill(self) -> None:
        """Stop the process and everything it started: SIGTERM first, so that they can clean up after themselves."""
        for process in self.processes:
            if process.poll() is not None:
                # Its number may belong to another process by now.
                continue
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                    limit = time.monotonic() + GRACE_SECONDS
                    while time.monotonic() < limit:
                        # A process that exited but was not reaped still counts as part of its group.
                        process.poll()
                        os.killpg(process.pid, 0)
                        time.sleep(0.05)
