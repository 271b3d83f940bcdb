"""Cursors: the place after the last hit of a page, signed together with the query that it belongs to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.core import signing

SALT = "precedent.search.cursor"


class BadCursor(Exception):
    """Tampered with, from another query, or from another engine. The remedy is the first page."""

    def __init__(self, why: str = "This cursor belongs to another search.") -> None:
        super().__init__(f"{why} Leave it out to start at the first page.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: its last sort key and id, the engine that ranked it, and whether the words were relaxed."""

    key: float | str
    incident_id: int
    engine: str
    relaxed: bool


def digest(query: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()[:16]


def write(place: Place, query: dict[str, Any]) -> str:
    return signing.dumps(
        [digest(query), place.key, place.incident_id, place.engine, place.relaxed], salt=SALT, compress=True
    )


def read(text: str, query: dict[str, Any]) -> Place:
    """Raises BadCursor."""
    try:
        of_query, key, incident_id, engine, relaxed = signing.loads(text, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadCursor from error
    if of_query != digest(query):
        raise BadCursor
    return Place(key, incident_id, engine, relaxed)
