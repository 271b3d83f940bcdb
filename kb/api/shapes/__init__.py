"""The shape of every request and response body, as JSON Schema (2020-12, the dialect of OpenAPI 3.1).

The OpenAPI document publishes these schemas, and request bodies are validated against them. The shapes of rows are
derived from `incidents.records.KINDS`, and enumerations from `incidents.vocabulary`.
"""

from __future__ import annotations

import re
from functools import cache

from kb.api.shapes import enumerations, incidents, requests, resources
from kb.api.shapes.parts import Schema

COMPONENTS: dict[str, Schema] = {
    **incidents.SHAPES,
    **requests.SHAPES,
    **resources.SHAPES,
    **enumerations.SHAPES,
}


@cache
def read_only(shape: str) -> dict[str, str]:
    """{field: message} for the fields that responses have and this request shape does not take."""
    answer = COMPONENTS.get(re.sub("(Create|Change|Replace)$", "", shape), {})
    taken = COMPONENTS[shape]["properties"]
    return {
        name: f"This can only be read. {requests.REMEDIES.get(name, '')}".strip()
        for name in answer.get("properties", {})
        if name not in taken
    }
