"""Where native services live and which account runs them: folders, ports and the account.

All checkouts of a user share this, outside of any checkout: each server is started once, and each download made once.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .trouble import Trouble

ACCOUNT = "precedent"


@dataclass(frozen=True)
class Account:
    """The account that a service runs as. `uid` is None if that is the caller's own."""

    name: str
    uid: int | None = None
    gid: int | None = None

    def switch(self) -> dict[str, Any]:
        """Arguments for `subprocess` that drop to the account permanently."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        for path in paths:
            if self.uid is not None and self.gid is not None:
                os.chown(path, self.uid, self.gid)


def cache() -> Path:
    """The folder for everything that can be re-created.

    root does not use its home folder, because the account that runs the servers could not enter it.
    """
    if override := os.environ.get("PRECEDENT_CACHE"):
        return Path(override).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/precedent")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "precedent"


def home(service: str, account: Account) -> Path:
    """The service's own folder (data, log, pid file), created if missing and private to the account."""
    folder = cache() / "services" / service
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    account.own(folder)
    _require_reachable(folder, account)
    return folder


def port(service: str, default: int) -> int:
    """The service's port. The defaults are far from the usual ones, so that no other server is mistaken for ours."""
    variable = f"PRECEDENT_{service.upper()}_PORT"
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Trouble(f"{variable} is {text!r}; it must be a port number.")
    return int(text)


def account() -> Account:
    """The account that runs the services: the caller's own, or a system account if the caller is root, because
    PostgreSQL and Elasticsearch refuse to run as root."""
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name)
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        command = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            ACCOUNT,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Trouble(f"Could not create the system account {ACCOUNT!r}: {done.stderr.strip()}") from None
        entry = pwd.getpwnam(ACCOUNT)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _require_reachable(folder: Path, account: Account) -> None:
    if account.uid is None:
        return
    for parent in folder.parents:
        status = parent.stat()
        owned = status.st_uid == account.uid and status.st_mode & 0o100
        if not owned and not status.st_mode & 0o001:
            raise Trouble(
                f"The account {account.name!r}, which runs the services, cannot enter {parent}; "
                "set PRECEDENT_CACHE to a folder that it can reach."
            )
