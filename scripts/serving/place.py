"""Where Precedent runs: its folder and its address, checked so that a start fails early.

Standard library only, because this runs before anything is installed.
"""

import errno
import fcntl
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

ROOT = Path(__file__).resolve().parents[2]


def fail(sentence: str) -> NoReturn:
    sys.exit(f"run: {sentence}")


@dataclass(frozen=True)
class Place:
    var: Path
    host: str
    port: int

    @classmethod
    def from_environment(cls) -> "Place":
        port = os.environ.get("PORT") or "8000"
        if not port.isdecimal() or not 0 < int(port) < 65536:
            fail(f"PORT is {port!r}; it must be a number from 1 to 65535.")
        var = ROOT / Path(os.environ.get("VAR_DIR") or "var").expanduser()
        return cls(var=var, host=os.environ.get("HOST") or "127.0.0.1", port=int(port))

    @property
    def address(self) -> str:
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{self.port}"

    def lock(self) -> TextIO:
        """Lock the folder until the returned file is closed; the kernel closes it however this process dies."""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            other = lock.read().strip() or "unknown"
            fail(f"Precedent is already running in {self.var} (process {other}); stop it, or set VAR_DIR and PORT.")
        self._check_port()
        return lock

    def write_process_id(self, lock: TextIO) -> None:
        """Write our process id into the lock file, for the message that a second start prints."""
        try:
            lock.truncate(0)
            # Bypass the file's buffer, which would be written again when the file is closed.
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())
        except OSError as error:
            self._refuse(error)

    def _open_lock(self) -> TextIO:
        try:
            self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
            return (self.var / "run.lock").open("a+")
        except FileExistsError:
            fail(f"{self.var} is a file, but Precedent needs a folder there for its data; set VAR_DIR to another path.")
        except OSError as error:
            self._refuse(error)

    def _refuse(self, error: OSError) -> NoReturn:
        fail(f"the data folder {self.var} cannot be written to ({error.strerror}); set VAR_DIR to a writable folder.")

    def _check_port(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    fail(f"port {self.port} on {self.host} is in use; choose another: PORT=8001 make run")
                fail(f"cannot listen on {self.host}:{self.port} ({error.strerror}); set HOST and PORT.")
