"""Runs the commands of a Procfile side by side until one of them ends or somebody asks for the end.

Reads and prints as honcho does. What is its own is the supervision: a request to end counts even when it
comes during the start, an end is insisted on, nothing that a command started is left behind, and it is known
who ended first.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import FrameType

from honcho.colour import get_colours
from honcho.environ import parse_procfile
from honcho.printer import Message, Printer

GRACE_SECONDS = 8.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Makes itself the receiver of the signals that ask for the end; so there is one in a process."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder, self._env = folder, env
        # A plain flag: the handler runs amid whatever the main thread does, which may hold an Event's lock.
        self.asked = False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        for number in ENDING:
            signal.signal(number, self._end)

    def run_once(self, *command: str) -> int:
        """A command that must end before others may start. Its output is not touched."""
        with subprocess.Popen(command, env=self._env, cwd=self._folder, start_new_session=True) as process:
            while process.poll() is None and not self.asked:
                time.sleep(0.05)
            self._stop({"": process})
            return process.returncode

    def run_all(self, procfile: str) -> dict[str, int]:
        """Returns who ended by itself, and how; nobody when the end was asked for."""
        commands = parse_procfile(procfile).processes
        printer, colours = Printer(sys.stdout, width=max(map(len, commands))), get_colours()
        for name, command in commands.items():
            self._start(name, command, printer, next(colours))
        while not self.asked and all(process.poll() is None for process in self._processes.values()):
            time.sleep(0.1)
        ended = {name: process.returncode for name, process in self._processes.items() if process.poll() is not None}
        asked = self.asked
        self._stop(self._processes)
        for reader in self._readers:
            reader.join(timeout=1)
        return {} if asked else ended

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def _start(self, name: str, command: str, printer: Printer, colour: str) -> None:
        # Should this process be killed, the kernel asks its children to end.
        prefix = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        process = subprocess.Popen(
            [*prefix, "/bin/sh", "-c", command],
            env=self._env,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A session of its own keeps the terminal's Ctrl-C away: the order of the end is decided here.
            start_new_session=True,
        )
        self._processes[name] = process

        def read() -> None:
            assert process.stdout is not None  # noqa: S101  (it is a pipe)
            for line in process.stdout:
                printer.write(Message("line", line, datetime.now(), name, colour))

        self._readers.append(threading.Thread(target=read, daemon=True))
        self._readers[-1].start()

    def _stop(self, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        _signal(processes, signal.SIGTERM)
        limit = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in processes.values()) and time.monotonic() < limit:
            time.sleep(0.05)
        # Also reaches what a killed command has left behind in its session.
        _signal(processes, signal.SIGKILL)
        for process in processes.values():
            process.wait()


def _signal(processes: Mapping[str, subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in processes.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
