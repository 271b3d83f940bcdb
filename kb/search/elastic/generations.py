"""Generations of the index: one alias to read from, and another for everything to write to.

<prefix>-read       the generation that answers searches; swapped in one call
<prefix>-write      the same generation, the next one while it is being built, and the previous one until it is retired
<prefix>-000001     a generation; the previous one is kept for rollback until it is retired
<prefix>-000001-in  the alias to write to one generation: writing through an alias never creates an index that is gone
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from elasticsearch import NotFoundError

from kb.search.elastic import mapping
from kb.search.elastic.client import SEARCH_BUDGET, client, raising_unavailable, with_timeout
from kb.search.engine import Unavailable


@dataclass(frozen=True, slots=True)
class Generation:
    name: str
    number: int
    reads: bool
    writes: bool
    fingerprint: str

    @property
    def is_current(self) -> bool:
        """Whether its documents are analyzed and stored the way this version of the code does it."""
        return self.fingerprint == mapping.fingerprint()


def prefix() -> str:
    return str(settings.ELASTICSEARCH_INDEX)


def read_alias() -> str:
    return f"{prefix()}-read"


def write_alias() -> str:
    return f"{prefix()}-write"


def own_write_alias(generation: str) -> str:
    return f"{generation}-in"


def generations() -> list[Generation]:
    """Every generation, oldest first. Raises Unavailable."""
    with raising_unavailable():
        found = client().indices.get(index=f"{prefix()}-*", ignore_unavailable=True)
    out = []
    for name, about in found.items():
        match = re.fullmatch(rf"{re.escape(prefix())}-(\d{{6}})", name)
        if match:
            out.append(
                Generation(
                    name=name,
                    number=int(match[1]),
                    reads=read_alias() in about["aliases"],
                    writes=write_alias() in about["aliases"],
                    fingerprint=about["mappings"].get("_meta", {}).get("fingerprint", ""),
                )
            )
    return sorted(out, key=lambda generation: generation.number)


def count_documents(generation: Generation) -> int | None:
    """How many incidents the generation holds, without tombstones and the mark. None if its data cannot be reached."""
    try:
        with raising_unavailable():
            # A generation that is being built is not refreshed on its own.
            client().indices.refresh(index=generation.name, ignore_unavailable=True)
            found = client().count(index=generation.name, query={"term": {"deleted": False}}, ignore_unavailable=True)
    except Unavailable:
        return None
    return int(found["count"])


def create() -> Generation:
    """Create an empty generation. Every write goes to it from now on, but searches do not read it yet."""
    existing = generations()
    number = max((generation.number for generation in existing), default=0) + 1
    name = f"{prefix()}-{number:06d}"
    with raising_unavailable():
        client().indices.create(index=name, **mapping.body(), aliases={write_alias(): {}, own_write_alias(name): {}})
    return Generation(name, number, False, True, mapping.fingerprint())


def swap(to: Generation) -> None:
    """Switch readers to a generation, in one call. The old one is still written to, so a rollback loses nothing."""
    actions: list[dict[str, Any]] = [
        {"remove": {"index": old.name, "alias": read_alias()}}
        for old in generations()
        if old.reads and old.name != to.name
    ]
    actions += [
        {"add": {"index": to.name, "alias": read_alias()}},
        {"add": {"index": to.name, "alias": write_alias()}},
    ]
    with raising_unavailable():
        client().indices.update_aliases(actions=actions)


def retire(generation: Generation) -> None:
    """Delete a generation. Raises ValueError if it is being read."""
    if generation.reads:
        raise ValueError(f"{generation.name} is being read")
    delete(generation)


def delete(generation: Generation) -> None:
    """Delete a generation even if it is being read: the database answers searches until there is another."""
    with raising_unavailable():
        client().indices.delete(index=generation.name, ignore_unavailable=True)


def lost_names() -> set[str]:
    """The names of the generations whose data cannot be reached."""
    with raising_unavailable():
        health = client().cluster.health(index=f"{prefix()}-*", level="indices")
    return {name for name, about in health["indices"].items() if about["status"] == "red"}


def write_targets() -> list[str]:
    """The generations that every write goes to. Raises Unavailable, also if there is none yet."""
    try:
        with raising_unavailable():
            found = with_timeout(SEARCH_BUDGET).indices.get_alias(name=write_alias())
    except NotFoundError as error:
        raise Unavailable("there is no generation to write to yet") from error
    return sorted(found)
