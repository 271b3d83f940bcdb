"""Runs the commands of a Procfile concurrently until one of them exits or a signal asks it to stop.

Reads the file and prints output as honcho does, but supervises the processes itself: a signal during startup counts,
processes that do not exit are killed together with everything they started, and the caller learns which exited first.
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
    """Installs itself as the handler of the stop signals, so there can be only one per process."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder, self._env = folder, env
        # A plain flag: the handler interrupts the main thread, which may hold an Event's lock at that moment.
        self.asked = False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        for number in ENDING:
            signal.signal(number, self._end)

    def run_once(self, *command: str) -> int:
        """Run a command that must finish before others start, with its output untouched. Returns its exit code."""
        with subprocess.Popen(command, env=self._env, cwd=self._folder, start_new_session=True) as process:
            while process.poll() is None and not self.asked:
                time.sleep(0.05)
            self._stop({"": process})
            return process.returncode

    def run_all(self, procfile: str) -> dict[str, int]:
        """Run all commands. Returns the exit codes of those that exited by themselves; {} if a signal stopped them."""
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
        # If this process is killed, the kernel sends SIGTERM to its children.
        prefix = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        process = subprocess.Popen(
            [*prefix, "/bin/sh", "-c", command],
            env=self._env,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A separate session keeps the terminal's Ctrl-C away, so that the order of shutdown is decided here.
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
        # This also reaches what an already dead command left behind in its session.
        _signal(processes, signal.SIGKILL)
        for process in processes.values():
            process.wait()


def _signal(processes: Mapping[str, subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in processes.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
