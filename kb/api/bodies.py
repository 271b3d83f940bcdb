"""Request bodies against their shapes: unknown fields, missing ones, wrong types; in words, each with its path.

What a value means - that a time is on the calendar, that an owner is somebody here - is for the actions to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from rest_framework.request import Request

from incidents.errors import Invalid
from kb.api.problems import MOST_PROBLEMS, Unknown, unknown
from kb.api.shapes import COMPONENTS

_TYPES = {
    "string": "text",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def _unless_too_many(keyword: str, limit: str) -> Any:
    """What `keyword` says of each, unless they are more than `limit` allows: that is said already, and looking at a
    million of them takes long."""
    inside: Any = Draft202012Validator.VALIDATORS[keyword]

    def look(validator: Any, rule: Any, given: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
        if not isinstance(given, list | dict) or len(given) <= schema.get(limit, math.inf):
            yield from inside(validator, rule, given, schema)

    return look


_Validator: Any = validators.extend(
    Draft202012Validator,
    {
        "items": _unless_too_many("items", "maxItems"),
        "additionalProperties": _unless_too_many("additionalProperties", "maxProperties"),
    },
)


@cache
def _validator(shape: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{shape}", "components": {"schemas": COMPONENTS}}
    # Other formats are for the actions to read: they take more, such as times that are only known to the day.
    return _Validator(schema, format_checker=FormatChecker(["uuid"]))


def read(request: Request, shape: str | None) -> dict[str, Any]:
    """The body, checked; {} for an operation that takes none. Raises Invalid, Unknown, Refusal."""
    body: Any = request.data
    check(body, shape or "Nothing")
    return body


def check(body: Any, shape: str) -> None:
    if not isinstance(body, dict):
        raise Invalid({"body": "This takes an object."})
    strange: dict[str, list[str]] = {}
    wrong: dict[str, list[str]] = {}
    for number, error in enumerate(_errors(_validator(shape).iter_errors(body))):
        if number >= MOST_PROBLEMS:
            break
        path = ".".join(map(str, error.absolute_path))
        prefix = f"{path}." if path else ""
        given: Any = error.instance
        rule: Any = error.validator_value
        if error.validator == "additionalProperties":
            shape_here: Any = error.schema
            known = shape_here["properties"]
            strange.update(unknown("field", [name for name in given if name not in known], known, path=prefix).fields)
        elif error.validator == "required":
            wrong.update({f"{prefix}{name}": ["This is needed."] for name in rule if name not in given})
        # What is of another type is none of the choices anyway.
        elif error.validator != "enum" or path not in wrong:
            wrong.setdefault(path or "body", []).append(_words(error))
    if strange:
        raise Unknown("unknown_field", {name: texts[0] for name, texts in strange.items()})
    if wrong:
        raise Invalid(wrong)


def _errors(found: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Errors of a choice of shapes are those of the shape that was meant: the one whose type is right."""
    for error in found:
        if error.validator != "anyOf":
            yield error
            continue
        branches: dict[int, list[ValidationError]] = {}
        for inner in error.context or []:
            branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
        meant = next(
            (
                errors
                for errors in branches.values()
                if not any(inner.validator == "type" and not inner.relative_path for inner in errors)
            ),
            None,
        )
        if meant is None:
            yield error
        else:
            yield from _errors(iter(meant))


def _words(error: ValidationError) -> str:
    expected: Any = error.validator_value
    given: Any = error.instance
    match error.validator:
        case "type":
            return f"This takes {_names(expected)}."
        case "enum":
            return f"Choose one of {', '.join(str(value) for value in expected if value is not None)}."
        case "maxLength":
            return f"At most {expected:,} characters; this has {len(given):,}."
        case "maxItems" | "maxProperties":
            return f"At most {expected:,} of them; these are {len(given):,}."
        case "minLength":
            return f"At least {expected:,} characters."
        case "format":
            return f"This takes a {str(expected).upper()}."
        case "minimum":
            return f"This takes a number from {expected:,}."
        case "maximum":
            return f"This takes a number up to {expected:,}."
        case "anyOf":
            return f"This takes {_names([t for inner in expected for t in _type_of(inner)])}."
    return error.message[:300]


def _type_of(schema: dict[str, Any]) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _names(types: str | list[str]) -> str:
    names = [_TYPES[name] for name in ([types] if isinstance(types, str) else types) if name in _TYPES]
    return " or ".join(dict.fromkeys(names)) or "another type"
