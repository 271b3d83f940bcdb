"""Validates request bodies against their shapes: unknown fields, missing fields and wrong types, each with its path.

What a value means is checked by the actions: that a date exists, for example, or that an owner is a user.
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
from kb.api.shapes import COMPONENTS, read_only

_TYPES = {
    "string": "text",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def _unless_too_many(keyword: str, limit: str) -> Any:
    """The validator of `keyword`, skipped when there are more entries than `limit` allows. That is an error of its own,
    and checking a million entries would take too long."""
    validate_all: Any = Draft202012Validator.VALIDATORS[keyword]

    def validate(validator: Any, rule: Any, value: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
        if not isinstance(value, list | dict) or len(value) <= schema.get(limit, math.inf):
            yield from validate_all(validator, rule, value, schema)

    return validate


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
    # Other formats are left to the actions, which accept more, such as times that are only known to the day.
    return _Validator(schema, format_checker=FormatChecker(["uuid"]))


def read(request: Request, shape: str | None) -> dict[str, Any]:
    """The validated body; {} for an operation without one. Raises Invalid, Unknown, Refusal."""
    body: Any = request.data
    check(body, shape or "Nothing")
    return body


def check(body: Any, shape: str) -> None:
    if not isinstance(body, dict):
        raise Invalid({"body": "This must be an object."})
    unknown_fields: dict[str, list[str]] = {}
    invalid: dict[str, list[str]] = {}
    for number, error in enumerate(_errors(_validator(shape).iter_errors(body))):
        if number >= MOST_PROBLEMS:
            break
        path = ".".join(map(str, error.absolute_path))
        prefix = f"{path}." if path else ""
        value: Any = error.instance
        rule: Any = error.validator_value
        if error.validator == "additionalProperties":
            shape_here: Any = error.schema
            known = shape_here["properties"]
            readable = {} if path else read_only(shape)
            invalid.update({name: [readable[name]] for name in value if name in readable})
            strange = [name for name in value if name not in known and name not in readable]
            unknown_fields.update(unknown("field", strange, known, path=prefix).fields)
        elif error.validator == "required":
            invalid.update({f"{prefix}{name}": ["This field is required."] for name in rule if name not in value})
        # A value of the wrong type is not one of the choices either; one error is enough.
        elif error.validator != "enum" or path not in invalid:
            invalid.setdefault(path or "body", []).append(_words(error))
    if unknown_fields:
        raise Unknown("unknown_field", {name: texts[0] for name, texts in unknown_fields.items()})
    if invalid:
        raise Invalid(invalid)


def _errors(found: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Replace each `anyOf` error with the errors of the alternative that was meant: the one whose type matches."""
    for error in found:
        if error.validator != "anyOf":
            yield error
            continue
        branches: dict[int, list[ValidationError]] = {}
        for inner in error.context or []:
            branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
        matching = next(
            (
                errors
                for errors in branches.values()
                if not any(inner.validator == "type" and not inner.relative_path for inner in errors)
            ),
            None,
        )
        if matching is None:
            yield error
        else:
            yield from _errors(iter(matching))


def _words(error: ValidationError) -> str:
    expected: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            return f"This must be {_names(expected)}."
        case "enum":
            return f"Choose one of {', '.join(expected)}."
        case "maxLength":
            return f"This can have at most {expected:,} characters; it has {len(value):,}."
        case "maxItems" | "maxProperties":
            return f"This can have at most {expected:,} entries; it has {len(value):,}."
        case "minLength":
            return f"This needs at least {expected:,} characters."
        case "pattern":
            return f"This must match {expected}."
        case "format":
            return f"This must be a {str(expected).upper()}."
        case "minimum":
            return f"This must be at least {expected:,}."
        case "maximum":
            return f"This must be at most {expected:,}."
        case "anyOf":
            return f"This must be {_names([t for inner in expected for t in _type_of(inner)])}."
    return error.message[:300]


def _type_of(schema: dict[str, Any]) -> list[str]:
    schema = COMPONENTS[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _names(types: str | list[str]) -> str:
    names = [_TYPES[name] for name in ([types] if isinstance(types, str) else types) if name in _TYPES]
    return " or ".join(dict.fromkeys(names)) or "another type"
