"""Small but complete pattern files for tests, made to be modified."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

PATTERN: dict[str, Any] = {
    "name": "Empty tank",
    "family": "physical",
    "counts": "A tank was empty when it was needed.",
    "not": "A tank that was filled in time.",
    "advice": "Look into the tank on a schedule, and have an alarm that does not need anybody to look into it.",
    "rule": {
        "words": {"tank": ["tank", "reservoir"]},
        "groups": {"named": {"weight": 2, "any": ["<tank> ..4 (empty|dry)"]}},
    },
    "sentences": {
        "positive": [f"The tank {verb} empty." for verb in ("was", "ran", "stood", "had run", "is")],
        "near_miss": [f"The tank {verb} full." for verb in ("was", "ran", "stood", "had been", "is")],
    },
}


def pattern(**changes: Any) -> dict[str, Any]:
    """A copy of the pattern with these changes. A key such as rule__groups is a path into it; None removes a key."""
    made = deepcopy(PATTERN)
    for path, value in changes.items():
        *way, last = path.split("__")
        inside = made
        for step in way:
            inside = inside[step]
        if value is None:
            inside.pop(last, None)
        else:
            inside[last] = value
    return made


def folder_of(folder: Path, **patterns: dict[str, Any]) -> Path:
    """Fill the folder with a file per pattern (empty_tank becomes empty-tank.yaml) instead of its earlier files."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, content in patterns.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder
