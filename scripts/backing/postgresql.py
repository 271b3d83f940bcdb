"""PostgreSQL from Debian's packages, with its own cluster in addition to any that Debian set up."""

import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from . import debian
from .native import Native
from .trouble import Trouble

USER = PASSWORD = DATABASE = "precedent"  # noqa: S105  (reachable from this machine only)


class PostgreSQL(Native):
    name = "postgresql"
    # A "fast" shutdown disconnects clients; SIGTERM would wait for the last of them to leave.
    stop_signal = signal.SIGINT

    def install(self) -> None:
        if _programs() is None:
            debian.install("postgresql")

    def configure(self) -> None:
        data = self._data()
        if (data / "PG_VERSION").exists():
            return
        # Built under another name and then renamed, so that an interrupted start leaves nothing that looks complete.
        aside = data.with_name(data.name + ".new")
        shutil.rmtree(aside, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as password:
            password.write(PASSWORD)
            password.flush()
            self.account.own(Path(password.name))
            access = ["-U", USER, "--pwfile", password.name, "--auth=scram-sha-256"]
            self._run(["initdb", "-D", str(aside), *access, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        self._run(["postgres", "--single", "-D", str(aside), "postgres"], stdin=f"CREATE DATABASE {DATABASE};\n")
        aside.rename(data)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "256MB",
            # This data can be lost with the machine, so nothing waits for the disk.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            # Compiling a query takes longer than running any of ours.
            "jit": "off",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [str(self._program("postgres")), "-D", str(self._data()), "-p", str(self.port), *options]

    def _data(self) -> Path:
        version = self._program("postgres").parent.parent.name
        return self.folder / f"data-{version}"

    def _program(self, name: str) -> Path:
        programs = _programs()
        if programs is None:
            raise Trouble("PostgreSQL's server programs are still missing after an attempt to install them.")
        return programs / name

    def _run(self, command: list[str], stdin: str = "") -> None:
        done = subprocess.run(
            [str(self._program(command[0])), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**self.env(), "LANG": "C.UTF-8"},
            **self.account.switch(),
        )
        if done.returncode:
            raise Trouble(f"{command[0]} failed with exit code {done.returncode}.", (done.stdout + done.stderr).strip())


def _programs() -> Path | None:
    """The folder of the newest server. Debian keeps one per major version, none of them on the PATH."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: float(re.sub(r"[^\d.]", "", folder.parent.name) or 0))
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None
