"""Paths that commands are given. One that is of no use ends the command with code 2 and a line that says why."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.base import CommandError

from incidents.outages import files


def look_at(path: Path) -> None:
    """Is it there, and can it be read?"""
    try:
        os.scandir(path).close()
    except NotADirectoryError:
        pass
    except FileNotFoundError as error:
        raise CommandError(f"There is no {path}.", returncode=2) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=2) from error


def outages(path: Path) -> list[Path]:
    """The outage files of a folder, or the one file that is named."""
    look_at(path)
    found = files.paths(path)
    if not found:
        raise CommandError(f"There is no outage file in {path}.", returncode=2)
    return found
