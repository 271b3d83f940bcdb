"""Redis from Debian's packages."""

import shutil
from pathlib import Path

from . import debian
from .native import Native
from .trouble import Trouble


class Redis(Native):
    name = "redis"

    def install(self) -> None:
        if _program() is None:
            debian.install("redis-server")

    def configure(self) -> None:
        """Nothing to write. A restart forgets all messages, which is the harder case for the code under test."""

    def command(self) -> list[str]:
        program = _program()
        if program is None:
            raise Trouble("redis-server is still missing after an attempt to install it.")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
        }
        return [program, *(word for key, value in settings.items() for word in (f"--{key}", value))]


def _program() -> str | None:
    folders = ("/usr/bin", "/usr/sbin", "/usr/local/bin")
    return shutil.which("redis-server") or next((p for f in folders if Path(p := f"{f}/redis-server").exists()), None)
