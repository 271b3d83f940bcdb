"""Which files an import takes, and their texts. Nothing outside the named folder is read, whatever links say."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from incidents.importing.candidates import Rejected
from incidents.text import printable


class Format(StrEnum):
    FRONTMATTER = "frontmatter"
    JSON = "json"


ENDINGS = {".md": Format.FRONTMATTER, ".markdown": Format.FRONTMATTER, ".json": Format.JSON}
# An incident holds 1 MiB of text at most; a JSON file may hold a whole installation.
MOST_BYTES = {Format.FRONTMATTER: 4 * 1024 * 1024, Format.JSON: 256 * 1024 * 1024}

LEADS_OUT = "It is a link that points outside the folder."


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read. `name` is its path within the folder, as it can be printed."""

    name: str
    path: Path
    format: Format


def find(path: Path, format: Format | None) -> list[Found | Rejected]:
    """The files of a folder and its subfolders that have an ending of the format (of any, without one), in order; and
    the folders that cannot be looked into. A file that is named itself is taken whatever its ending is, if a format is
    given."""
    if path.is_file():
        known = format or ENDINGS.get(path.suffix.lower())
        return [Found(printable(path.name), path, known)] if known else []
    found: list[Found | Rejected] = []
    for file in _walk(path):
        if isinstance(file, Rejected):
            found.append(file)
        elif (ending := ENDINGS.get(file.suffix.lower())) and format in (None, ending):
            found.append(Found(_name(file, path), file, ending))
    return found


def read(found: Found, folder: Path) -> str | Rejected:
    """The file's text. `folder` is what the file must not lead out of."""

    def rejected(reason: str) -> Rejected:
        return Rejected(found.name, reason)

    try:
        if not found.path.resolve().is_relative_to(folder.resolve()):
            return rejected(LEADS_OUT)
        status = found.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return rejected("It is not a regular file.")
        if status.st_size > (most := MOST_BYTES[found.format]):
            return rejected(f"It is larger than {most // 1024 // 1024} MiB.")
        return found.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return rejected(f"It is not UTF-8 text (invalid byte at offset {error.start}).")
    except (OSError, RuntimeError) as error:
        # A loop of links is a RuntimeError before Python 3.13.
        return rejected(f"It cannot be read: {getattr(error, 'strerror', None) or error}.")


def _walk(folder: Path) -> Iterator[Path | Rejected]:
    unread: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=unread.append):
        # Hidden folders hold what tools keep for themselves. The order makes two runs say the same.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in filter(Path.is_symlink, (Path(parent, name) for name in folders)):
            # What is within the folder is found where it is.
            if not link.resolve().is_relative_to(folder.resolve()):
                yield Rejected(_name(link, folder), LEADS_OUT)
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
    for error in unread:
        yield Rejected(_name(Path(error.filename), folder), f"It cannot be read: {error.strerror}.")


def _name(path: Path, folder: Path) -> str:
    """File names may hold bytes that are no text, and line breaks."""
    return printable(str(path.relative_to(folder)))
