"""One long-running native process: started in its own session, stopped together with all its descendants.

The kernel reuses process ids, so the pid file also holds the boot id and the start time of the process. Nothing is
signalled unless all three match.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .places import Account
from .trouble import Trouble

_STATE, _PARENT, _STARTED = 0, 1, 19  # offsets in /proc/<pid>/stat after the command's name; see proc(5)


class Daemon:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "log"
        self._file = folder / "pid"

    def pid(self) -> int | None:
        """The process id if the process that was started is still running, else None."""
        try:
            remembered = json.loads(self._file.read_text())
        except (FileNotFoundError, PermissionError, ValueError):
            return None
        pid = remembered.get("pid")
        return pid if pid and remembered == _identity(pid) else None

    def start(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, account: Account) -> None:
        """Start the process and return at once; a probe tells whether the service is healthy."""
        if self.log.exists():
            self.log.replace(self.log.with_name("log.previous"))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **env},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **account.switch(),
                start_new_session=True,
            )
        # The start time is that of the process, not of the program it executes, so it will not change.
        self._file.write_text(json.dumps(_identity(process.pid)))

    def stop(self, number: signal.Signals, *, seconds: float) -> bool:
        """Send the signal, wait, then kill what is left. False if it was not running."""
        pid = self.pid()
        if pid is None:
            return False
        family = [pid, *_descendants(pid)]
        os.kill(pid, number)
        if not _have_ended(family, seconds):
            _kill(family)
        self._file.unlink(missing_ok=True)
        return True

    def kill(self) -> bool:
        """SIGKILL the process and all its descendants, like a power cut, for fault tests."""
        pid = self.pid()
        if pid is None:
            return False
        _kill([pid, *_descendants(pid)])
        return True

    def tail(self, lines: int) -> str:
        try:
            text = self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def follow(self, lines: int) -> None:
        """Replace this program with `tail`, which can follow a file across its replacement."""
        os.execvp("tail", ["tail", "-n", str(lines), "-F", str(self.log)])  # noqa: S606


def _kill(family: Sequence[int]) -> None:
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _have_ended(family, 10):
        raise Trouble(f"Processes {', '.join(map(str, family))} are still running after SIGKILL.")


def _have_ended(family: Sequence[int], seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while any(_identity(pid) for pid in family):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _identity(pid: int) -> dict[str, object] | None:
    """None for a process that has ended, even if its exit code was not collected yet."""
    stat = _stat(pid)
    if stat is None or stat[_STATE] in "ZX":
        return None
    return {
        "pid": pid,
        "started": stat[_STARTED],
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    }


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[_PARENT]), []).append(int(entry.name))
    found = list(children.get(pid, []))
    for child in found:
        found.extend(children.get(child, []))
    return found
