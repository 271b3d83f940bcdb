"""The shape of every request and response body, as JSON Schema (2020-12, the dialect of OpenAPI 3.1).

The OpenAPI document publishes these schemas, and request bodies are validated against them. The shapes of rows are
derived from `incidents.records.KINDS`, and enumerations from `incidents.vocabulary`.
"""

from __future__ import annotations

from kb.api.shapes import incidents, requests, resources
from kb.api.shapes.parts import Schema

COMPONENTS: dict[str, Schema] = {
    **incidents.SHAPES,
    **requests.SHAPES,
    **resources.SHAPES,
}
