"""Finds the files of an import and reads their text. Links that lead outside the given folder are not followed."""

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
# An incident holds at most 1 MiB of text; a JSON file can hold a whole installation.
MAX_BYTES = {Format.FRONTMATTER: 4 * 1024 * 1024, Format.JSON: 256 * 1024 * 1024}

OUTSIDE_FOLDER = "It is a link that points outside the folder."


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read. `name` is its path within the folder, safe to print."""

    name: str
    path: Path
    format: Format


def find(path: Path, format: Format | None) -> list[FoundFile | Rejected]:
    """The files in a folder and its subfolders whose extension belongs to the format, or to any format if None, sorted.

    Folders that cannot be read are returned as rejected. If `path` is a file and a format is given, the file is taken
    whatever its extension.
    """
    if path.is_file():
        known = format or ENDINGS.get(path.suffix.lower())
        return [FoundFile(printable(path.name), path, known)] if known else []
    found: list[FoundFile | Rejected] = []
    for file in _walk(path):
        if isinstance(file, Rejected):
            found.append(file)
        elif (ending := ENDINGS.get(file.suffix.lower())) and format in (None, ending):
            found.append(FoundFile(_name(file, path), file, ending))
    return found


def read(found: FoundFile, folder: Path) -> str | Rejected:
    """The file's text, or why it cannot be read. The file must be inside `folder` once links are resolved."""

    def rejected(reason: str) -> Rejected:
        return Rejected(found.name, reason)

    try:
        if not found.path.resolve().is_relative_to(folder.resolve()):
            return rejected(OUTSIDE_FOLDER)
        status = found.path.stat()
        if not stat.S_ISREG(status.st_mode):
            return rejected("It is not a regular file.")
        if status.st_size > (most := MAX_BYTES[found.format]):
            return rejected(f"It is larger than {most // 1024 // 1024} MiB.")
        return found.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return rejected(f"It is not UTF-8 text (invalid byte at offset {error.start}).")
    except (OSError, RuntimeError) as error:
        # Before Python 3.13, resolve() raises RuntimeError for a loop of links.
        return rejected(f"It cannot be read: {getattr(error, 'strerror', None) or error}.")


def _walk(folder: Path) -> Iterator[Path | Rejected]:
    unread: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=unread.append):
        # Hidden folders hold tools' own files. Sorting makes runs give the same output.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in filter(Path.is_symlink, (Path(parent, name) for name in folders)):
            # A link to a folder inside needs no report: its files are found in their own place.
            if not link.resolve().is_relative_to(folder.resolve()):
                yield Rejected(_name(link, folder), OUTSIDE_FOLDER)
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
    for error in unread:
        yield Rejected(_name(Path(error.filename), folder), f"It cannot be read: {error.strerror}.")


def _name(path: Path, folder: Path) -> str:
    """The path within the folder, safe to print: file names can contain line breaks and bytes that are not text."""
    return printable(str(path.relative_to(folder)))
