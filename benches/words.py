"""Generates plausible prose: random walks over the pairs of adjacent words in the texts of the famous outages.

Words and phrases are therefore as frequent as in real postmortems. The same seed gives the same text on every machine.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# Raise this when the generated texts change, so that a corpus kept from an earlier run is not reused.
EDITION = 1
FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "outages"
_END = ""


@cache
def next_words() -> dict[str, list[str]]:
    """By word, the words that follow it, repeated as often as they do; "" is the start and the end of a sentence."""
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
        # In place of rows there can be a reason why there are none.
        yield from (row["text"] for row in outage.get(kind) or [] if isinstance(row, dict))


def _generate_sentence(chance: random.Random) -> str:
    """One sentence, of sixty words at most."""
    after = next_words()
    found: list[str] = []
    word = chance.choice(after[_END])
    while word != _END and len(found) < 60:
        found.append(word)
        word = chance.choice(after[word])
    return " ".join(found)


@cache
def sentences() -> list[str]:
    """The pool of sentences that texts are drawn from. Walking new ones for each text would take hours."""
    chance = random.Random(3)
    return [_generate_sentence(chance) for _ in range(40_000)]


def prose(chance: random.Random, characters: int) -> str:
    """Whole sentences of about this many characters in total."""
    found: list[str] = []
    length = 0
    while length < characters:
        found.append(chance.choice(sentences()))
        length += len(found[-1]) + 1
    return " ".join(found)


def title(chance: random.Random) -> str:
    return chance.choice(sentences())[:100].rstrip(" .,;:") or "Unnamed"


def queries(count: int, *, seed: int = 1) -> list[str]:
    """Plausible searches: one to three words that occur close together in some text, sometimes with a filter."""
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
