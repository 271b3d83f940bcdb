"""Parses the `curl` commands in the documentation as curl would."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import dataclass

# From the program's name to the end of a line that no backslash and no open quote continues.
_COMMAND = re.compile(r"""^ *(curl (?:'[^']*'|"[^"]*"|\\\n|[^'"\n])*)$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Curl:
    method: str
    address: str
    headers: dict[str, str]
    body: bytes | None


def commands(text: str, **variables: str) -> list[Curl]:
    """The curl commands of a text, in order, with shell variables substituted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=["curl"])
    parser.add_argument("address")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    found = []
    for command in _COMMAND.findall(text):
        for name, value in variables.items():
            command = command.replace(f"${name}", value)
        words = parser.parse_args(shlex.split(command.replace("\\\n", " "), comments=True))
        headers = dict(header.split(": ", 1) for header in words.headers)
        body = words.body.encode() if words.body else None
        found.append(Curl(words.method or ("POST" if body else "GET"), words.address, headers, body))
    return found
