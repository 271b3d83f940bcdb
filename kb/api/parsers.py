"""Reads request bodies strictly: one JSON document in UTF-8, without anything that JSON parsers disagree about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from incidents import plain_json
from incidents.errors import Invalid
from kb.api.problems import MOST_PROBLEMS, Refusal, too_large

DEEPEST = 32
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Refuses bodies over DATA_UPLOAD_MAX_MEMORY_SIZE, other encodings, duplicate keys, deep nesting, non-finite
    numbers, and text with a NUL or a lone surrogate. Different systems would store or compare these differently."""

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
        raise too_large()
    return raw


def read(raw: bytes) -> Any:
    """The value of a JSON document. Raises Refusal (malformed_json), or Invalid with the path of each bad text."""
    try:
        value = plain_json.read(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _malformed("The body is not UTF-8.") from error
    except plain_json.Unreadable as error:
        raise _malformed(str(error)) from error
    _check_depth(value)
    # JSON can write a NUL or a lone surrogate only as an escape, so most bodies need no second look.
    if b"\\u0000" in raw or re.search(rb"\\u[dD][89a-fA-F]", raw):
        _check_texts(value)
    return value


def _malformed(detail: str) -> Refusal:
    return Refusal("malformed_json", detail)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for here in level
            if isinstance(here, dict | list)
            for inner in (here.values() if isinstance(here, dict) else here)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _malformed(f"The body is nested deeper than {DEEPEST} levels.")


def _check_texts(value: Any) -> None:
    problems: dict[str, str] = {}
    for path, text in _texts(value, ""):
        if "\x00" in text:
            problems[path] = "The text contains a NUL character (U+0000). Remove it and try again."
        elif _LONE_SURROGATE.search(text):
            problems[path] = (
                "The text contains half of a surrogate pair, which is not a character. Remove it and try again."
            )
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise Invalid(problems)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every string in the value, including keys."""
    prefix = f"{path}." if path else ""
    match value:
        case str():
            yield path or "body", value
        case dict():
            for key, inner in value.items():
                shown = prefix + key.encode("unicode_escape").decode()[:100]
                yield shown, key
                yield from _texts(inner, shown)
        case list():
            for place, inner in enumerate(value):
                yield from _texts(inner, f"{prefix}{place}")
