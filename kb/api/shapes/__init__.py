"""The shapes of everything that goes in and out, as JSON Schema (2020-12, the dialect of OpenAPI 3.1).

One truth for two readers: the OpenAPI document shows these, and request bodies are checked against them. Rows follow
`incidents.records.KINDS`, choices follow `incidents.vocabulary`.
"""

from __future__ import annotations

from kb.api.shapes import incidents, requests, surroundings
from kb.api.shapes.parts import Schema

COMPONENTS: dict[str, Schema] = {
    **incidents.SHAPES,
    **requests.SHAPES,
    **surroundings.SHAPES,
}
