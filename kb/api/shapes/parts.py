"""The few words in which shapes are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str = "", *, most: int | None = None) -> Schema:
    return _described({"type": "string", **({"maxLength": most} if most else {})}, description)


def choice(values: Iterable[str], description: str = "") -> Schema:
    return _described({"type": "string", "enum": [str(value) for value in values]}, description)


def whole(description: str = "", *, least: int = 0, most: int | None = None) -> Schema:
    return _described(
        {"type": "integer", "minimum": least, **({"maximum": most} if most is not None else {})}, description
    )


def number(description: str = "") -> Schema:
    return _described({"type": "number"}, description)


def flag(description: str = "") -> Schema:
    return _described({"type": "boolean"}, description)


def uuid(description: str = "") -> Schema:
    return _described({"type": "string", "format": "uuid"}, description)


def instant(description: str = "") -> Schema:
    return _described({"type": "string", "format": "date-time"}, description)


def url(description: str = "") -> Schema:
    return _described({"type": "string", "format": "uri"}, description)


def array(of: Schema, description: str = "", *, most: int | None = None) -> Schema:
    return _described({"type": "array", "items": of, **({"maxItems": most} if most else {})}, description)


def obj(properties: dict[str, Schema], *, optional: Iterable[str] = (), description: str = "") -> Schema:
    """An object with these properties and no others; all are there but the `optional` ones."""
    required = [name for name in properties if name not in set(optional)]
    return _described(
        {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        },
        description,
    )


def nullable(schema: Schema) -> Schema:
    if "type" in schema and isinstance(schema["type"], str):
        out = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema:
            out["enum"] = [*schema["enum"], None]
        return out
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def page(of: Schema, description: str = "") -> Schema:
    """What lists answer with. Lists within an incident, but for its revisions and audit, come whole: their
    `next` is always null."""
    return obj(
        {"results": array(of), "next": nullable(url("The address of the next page; null on the last."))},
        description=description,
    )


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema
