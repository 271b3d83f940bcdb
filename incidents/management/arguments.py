"""Paths given to commands. An unusable path ends the command with exit code 2 and one line that says why."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.base import CommandError

from incidents.outages import files


def check_readable(path: Path) -> None:
    """Raise CommandError unless the path exists and can be read."""
    try:
        os.scandir(path).close()
    except NotADirectoryError:
        pass
    except FileNotFoundError as error:
        raise CommandError(f"{path} does not exist.", returncode=2) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=2) from error


def outage_files(path: Path) -> list[Path]:
    """The outage files in a folder, or the single file that the path names."""
    check_readable(path)
    found = files.paths(path)
    if not found:
        raise CommandError(f"There are no outage files in {path}.", returncode=2)
    return found
