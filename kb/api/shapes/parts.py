"""Small helpers that build JSON Schema: `text`, `choice`, `array`, `obj`, `page` and the like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kb.api.shapes.enumerations import NAMES

Schema = dict[str, Any]


def ref(name: str, description: str = "") -> Schema:
    return described({"$ref": f"#/components/schemas/{name}"}, description)


def text(description: str = "", *, most: int | None = None) -> Schema:
    return described({"type": "string", **({"maxLength": most} if most else {})}, description)


def choice(values: Iterable[str], description: str = "") -> Schema:
    """One of the values. The values of an enumeration refer to its schema."""
    known = [str(value) for value in values]
    name = NAMES.get(tuple(known))
    return ref(name, description) if name else described({"type": "string", "enum": known}, description)


def whole(description: str = "", *, least: int = 0, most: int | None = None) -> Schema:
    return described(
        {"type": "integer", "minimum": least, **({"maximum": most} if most is not None else {})}, description
    )


def number(description: str = "") -> Schema:
    return described({"type": "number"}, description)


def flag(description: str = "") -> Schema:
    return described({"type": "boolean"}, description)


def uuid(description: str = "") -> Schema:
    return described({"type": "string", "format": "uuid"}, description)


def instant(description: str = "") -> Schema:
    return described({"type": "string", "format": "date-time"}, description)


def url(description: str = "") -> Schema:
    return described({"type": "string", "format": "uri"}, description)


def array(of: Schema, description: str = "", *, most: int | None = None) -> Schema:
    return described({"type": "array", "items": of, **({"maxItems": most} if most else {})}, description)


def obj(properties: dict[str, Schema], *, optional: Iterable[str] = (), description: str = "") -> Schema:
    """An object with exactly these properties. All are required except the `optional` ones."""
    required = [name for name in properties if name not in set(optional)]
    return described(
        {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        },
        description,
    )


def nullable(schema: Schema) -> Schema:
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    inner = {name: value for name, value in schema.items() if name != "description"}
    return described({"anyOf": [*inner.get("anyOf", [inner]), {"type": "null"}]}, schema.get("description", ""))


def page(of: Schema, **more: Schema) -> Schema:
    """The response of a list, with `more` properties. Most lists inside an incident are never split into pages, so
    their `next` is always null; its revisions and audit trail are paginated."""
    return obj({"results": array(of), "next": nullable(url("URL of the next page; null on the last page.")), **more})


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema
