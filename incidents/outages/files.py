"""The folder of famous outages, and reading one file."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from incidents import plain_yaml, template

FOLDER: Path = settings.BASE_DIR / "fixtures" / "outages"
SCHEMA: Path = settings.BASE_DIR / "fixtures" / "outages.schema.json"


@dataclass(slots=True)
class OutageFile:
    """`id` is the file's name without its extension. `definition` is None if the file could not be read at all."""

    id: str
    definition: dict[str, Any] | None
    problems: list[str] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        return self.definition is not None and not self.problems


def paths(path: Path) -> list[Path]:
    """The YAML files in a folder, or the single file that the path names."""
    return [path] if path.is_file() else sorted(path.glob("*.yaml"))


def read(path: Path) -> OutageFile:
    try:
        definition = plain_yaml.read(path.read_text(encoding="utf-8"), trusted=True)
    except UnicodeDecodeError:
        return OutageFile(path.stem, None, ["This is not UTF-8 text."])
    except OSError as error:
        return OutageFile(path.stem, None, [f"This cannot be read: {error.strerror}."])
    except plain_yaml.Unreadable as error:
        return OutageFile(path.stem, None, [f"This is not YAML: {error}."])
    if not isinstance(definition, dict):
        return OutageFile(path.stem, None, ["This is not a mapping of facts."])
    return OutageFile(path.stem, definition)


def fingerprint(path: Path) -> str:
    """A hash that changes with any file in the folder, and with the code, schema and templates that load them."""
    digest = hashlib.sha256()
    readers = [SCHEMA, *Path(__file__).parent.glob("*.py"), *template.FOLDER.glob("*.yaml")]
    for file in [*paths(path), *sorted(readers)]:
        digest.update(f"{file.name}\0".encode())
        # An unreadable file is reported when it is loaded; until then, the folder counts as changed.
        with suppress(OSError):
            digest.update(f"{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
