"""Reading request bodies strictly: one JSON document in UTF-8, nothing that readers of JSON disagree about."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from incidents.errors import Invalid
from kb.api.problems import Refusal

DEEPEST = 32
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Refuses bodies over DATA_UPLOAD_MAX_MEMORY_SIZE, other encodings, duplicate keys, deep nesting, numbers that are not
    finite, and text with a NUL or half a surrogate pair: each would be stored or compared differently somewhere."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        charset = re.search(r"charset=\"?([^\s;\"]+)", media_type or "", re.IGNORECASE)
        if charset and charset[1].lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(media_type or "")
        return read(_limited(stream))


def _limited(stream: IO[bytes]) -> bytes:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    raw = stream.read(most + 1)
    if len(raw) > most:
        raise Refusal("too_large", f"At most {most // 1024 // 1024} MiB can be sent at once.")
    return raw


def read(raw: bytes) -> Any:
    """The value of a JSON document. Raises Refusal (malformed_json), or Invalid naming the place of a bad text."""
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError as error:
        raise _malformed(f"It is nested deeper than {DEEPEST} levels.") from error
    except UnicodeDecodeError as error:
        raise _malformed("It is not in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg}, in line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:
        # Python refuses whole numbers of thousands of digits.
        raise _malformed("It holds a number that is too long.") from error
    _check_texts(value)
    return value


def _malformed(detail: str) -> Refusal:
    return Refusal("malformed_json", detail)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _malformed(f"The key {twice[:100]!r} stands twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is no JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _malformed("It holds a number that is too large.")
    return number


def _check_texts(value: Any) -> None:
    problems: dict[str, str] = {}
    for path, text in _texts(value):
        if "\x00" in text:
            problems[path] = "The text holds a NUL character (U+0000). Remove it and try again."
        elif _LONE_SURROGATE.search(text):
            problems[path] = "The text holds half of a surrogate pair, which is no character. Remove it and try again."
    if problems:
        raise Invalid(problems)


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text in the value, keys too, with its path; without recursion, and no deeper than allowed."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, here, depth = waiting.pop()
        if depth > DEEPEST:
            raise _malformed(f"It is nested deeper than {DEEPEST} levels.")
        prefix = f"{path}." if path else ""
        match here:
            case str():
                yield path or "body", here
            case dict():
                for key, inner in here.items():
                    shown = key.encode("unicode_escape").decode()[:100]
                    yield f"{prefix}{shown}", key
                    waiting.append((f"{prefix}{shown}", inner, depth + 1))
            case list():
                waiting += [(f"{prefix}{place}", inner, depth + 1) for place, inner in enumerate(here)]
