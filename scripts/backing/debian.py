"""Installs programs from Debian's packages if they are missing."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from . import places
from .trouble import Trouble


def install(*packages: str) -> None:
    """Install as root or with sudo. If neither is possible, raises Trouble with the command to run."""
    hint = f"apt-get install {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise Trouble(f"There is no apt-get here; install what Debian calls {' and '.join(packages)} yourself.")
    prefix = _as_root(hint)
    with _locked_log() as log:
        start = log.tell()
        if not _apt(prefix, log, "install", *packages):
            # The package lists may be missing (in a fresh container) or stale.
            _apt(prefix, log, "update")
            if not _apt(prefix, log, "install", *packages):
                raise Trouble(f"{hint} failed; see {log.name}", _tail(Path(log.name), start))


def first_available(*packages: str) -> str | None:
    """The first of these packages that this machine's apt sources offer, if any."""
    if not shutil.which("apt-cache"):
        return None
    for attempt in range(2):
        for package in packages:
            if subprocess.run(["apt-cache", "show", package], capture_output=True).returncode == 0:
                return package
        if attempt == 0:
            with _locked_log() as log:
                _apt(_as_root("apt-get update"), log, "update")
    return None


@contextmanager
def _locked_log() -> Iterator[TextIO]:
    """A lock: apt's own covers dpkg but not the package lists, and services are installed concurrently."""
    path = places.cache() / "apt.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield log


def _as_root(hint: str) -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        may_ask = os.isatty(0)
        if may_ask or subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
            return ["sudo"] if may_ask else ["sudo", "-n"]
    raise Trouble(f"A required package is missing and this user cannot install it. As root, run: {hint}")


def _apt(prefix: list[str], log: TextIO, verb: str, *packages: str) -> bool:
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    if verb == "install":
        options += ["-y", "--no-install-recommends"]
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", verb, *options, *packages]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT).returncode == 0


def _tail(log: Path, start: int) -> str:
    with log.open(errors="replace") as text:
        text.seek(start)
        return "\n".join(text.read().splitlines()[-15:])


if __name__ == "__main__":
    try:
        install(*sys.argv[1:])
    except Trouble as trouble:
        sys.exit(f"{trouble.details}\n{trouble}".strip())
