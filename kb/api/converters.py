"""Path converters: what the variable parts of a URL can be. Any other URL is a 404."""

from __future__ import annotations

import uuid

_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"


class Reference:
    """INC-12, 12, or a UUID."""

    regex = f"(?:[Ii][Nn][Cc]-)?[0-9]{{1,17}}|{_UUID}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Name(Reference):
    """A slug or key."""

    regex = "[-a-zA-Z0-9_]{1,120}"


class Identity:
    """A UUID, in upper or lower case."""

    regex = _UUID

    def to_python(self, value: str) -> uuid.UUID:
        return uuid.UUID(value)

    def to_url(self, value: uuid.UUID) -> str:
        return str(value)


class Number:
    """A whole number that fits into an integer column of every database."""

    regex = "[0-9]{1,9}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)
