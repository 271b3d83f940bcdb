"""Cursors: the position after the last hit of a page, signed together with the query it belongs to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.core import signing

SALT = "precedent.search.cursor"


class BadCursor(Exception):
    """The cursor is invalid, or belongs to another query or engine. The remedy is to start from the first page."""

    def __init__(self, why: str = "This cursor belongs to a different search.") -> None:
        super().__init__(f"{why} Leave it out to start from the first page.")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort key and id of its last hit, the engine that ranked it, and whether the query was
    relaxed."""

    key: float | str
    incident_id: int
    engine: str
    relaxed: bool


def digest(query: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()[:16]


def write(position: Position, query: dict[str, Any]) -> str:
    return signing.dumps(
        [digest(query), position.key, position.incident_id, position.engine, position.relaxed], salt=SALT, compress=True
    )


def read(text: str, query: dict[str, Any]) -> Position:
    """The position that a cursor of this query stands for. Raises BadCursor."""
    try:
        of_query, key, incident_id, engine, relaxed = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadCursor from error
    if of_query != digest(query):
        raise BadCursor
    return Position(key, incident_id, engine, relaxed)
