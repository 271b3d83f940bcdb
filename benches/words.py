"""Plausible prose in any amount: a walk through the pairs of words that the public outages are written in.

So words are as frequent as they are in postmortems, common phrases are common, and most words are rare. The same seed
gives the same text on every machine.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# Changes with what is generated, so that a corpus kept from before is not taken for it.
EDITION = 1
FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "outages"
_END = ""


@cache
def followers() -> dict[str, list[str]]:
    """For every word those that follow it, as often as they do; "" stands for the start and the end of a sentence."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for text in _texts(yaml.load(path.read_text(), Loader=yaml.CSafeLoader)):
            for sentence in re.split(r"(?<=[.!?])\s+", text):
                before = _END
                for word in [*sentence.split(), _END]:
                    found.setdefault(before, []).append(word)
                    before = word
    return found


def _texts(outage: dict[str, Any]) -> Iterator[str]:
    yield from outage["sections"].values()
    for kind in ("timeline", "causes", "lessons", "actions"):
        # Where there are none, the reason stands in their place.
        yield from (row["text"] for row in outage.get(kind) or [] if isinstance(row, dict))


def _walk(chance: random.Random) -> str:
    """One sentence, of no more than sixty words."""
    after = followers()
    found: list[str] = []
    word = chance.choice(after[_END])
    while word != _END and len(found) < 60:
        found.append(word)
        word = chance.choice(after[word])
    return " ".join(found)


@cache
def sentences() -> list[str]:
    """Many more than there are in the outages; a text is some of them, because walking each anew would take hours."""
    chance = random.Random(3)
    return [_walk(chance) for _ in range(40_000)]


def prose(chance: random.Random, characters: int) -> str:
    """Whole sentences, about this long."""
    found: list[str] = []
    length = 0
    while length < characters:
        found.append(chance.choice(sentences()))
        length += len(found[-1]) + 1
    return " ".join(found)


def title(chance: random.Random) -> str:
    return chance.choice(sentences())[:100].rstrip(" .,;:") or "Unnamed"


def queries(count: int, *, seed: int = 1) -> list[str]:
    """What people search: two or three words that stand near each other somewhere, sometimes with a filter."""
    chance = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        words = [word.strip(".,;:()'\"").lower() for word in prose(chance, 60).split()]
        telling = [word for word in words if len(word) > 3 and word.isalpha()]
        if len(telling) < 3:
            continue
        text = " ".join(chance.sample(telling, chance.choice((1, 2, 2, 3))))
        found.append(text + chance.choice(("", "", "", "", " severity:sev1", " started:2019..2021", " has:timeline")))
    return found
