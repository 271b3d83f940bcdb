"""Environment variables, read tolerantly, and tests for addresses before anything uses them.

An unusable value does not end the settings with a traceback. It is left to kb/checks.py, which says what to set.
"""

from __future__ import annotations

import builtins
import os
from typing import Any
from urllib.parse import urlsplit

import environ

_FALSE = ("false", "off", "n", "no", "0")


class Environment(environ.Env):
    """An empty variable counts as not set, and spaces around the commas of a list are ignored.

    `unusable` maps the name of each variable with an invalid value to what it takes. Its default is used instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ENVIRON = {name: value for name, value in os.environ.items() if value}
        self.unusable: dict[str, str] = {}

    def int(self, var: str, default: Any) -> Any:
        try:
            return super().int(var, default=default)
        except ValueError:
            self.unusable[var] = "a whole number"
            return default

    def port(self, var: str, default: builtins.int) -> builtins.int:
        text = self.str(var, default=str(default))
        if text.isdecimal() and 0 < builtins.int(text) < 65536:
            return builtins.int(text)
        self.unusable[var] = "a number from 1 to 65535"
        return default

    def bool(self, var: str, default: Any) -> Any:
        if self.str(var, default="true").strip().lower() not in (*self.BOOLEAN_TRUE_STRINGS, *_FALSE):
            self.unusable[var] = "true or false"
            return default
        return super().bool(var, default=default)

    def list(self, var: str, default: builtins.list[str]) -> builtins.list[str]:
        return [part for part in map(str.strip, super().list(var, default=default)) if part]


def own_address(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on this host and port."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def is_address(text: str, *schemes: str) -> bool:
    """Is this a URL with a host and one of these schemes?"""
    try:
        parts = urlsplit(text)
        # The port is only parsed when it is read.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def is_web(text: str) -> bool:
    return is_address(text, "http", "https")


def is_postgresql(text: str) -> bool:
    """Is this a PostgreSQL URL that names a database? Without a host it means a socket on this machine."""
    scheme, parted, rest = text.partition("://")
    if parted and rest.startswith("/"):
        rest = f"localhost{rest}"
    return is_address(f"{scheme}://{rest}", "postgresql", "postgres") and bool(urlsplit(text).path.strip("/"))


def is_sqlite(text: str) -> bool:
    """Is this a SQLite URL with the path of a file? Processes could not share a database in memory."""
    scheme, _, path = text.partition(":///")
    return scheme == "sqlite" and path not in ("", ":memory:") and not path.endswith("/")


def is_mail(text: str) -> bool:
    return is_address(text, "smtp", "smtps", "smtp+tls", "smtp+ssl") or text.startswith("consolemail:")
