"""JSON of which everybody reads the same: a key that stands twice, or a number that is none, is refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn


class Unreadable(ValueError):
    """No JSON, or some of which readers disagree. The message is a sentence."""


def read(text: str) -> Any:
    """What the text says. Raises Unreadable."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise Unreadable("It is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg}, in line {error.lineno}, column {error.colno}.") from error
    except Unreadable:
        raise
    except ValueError as error:
        # Python refuses whole numbers of thousands of digits.
        raise Unreadable("It holds a number that is too long.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise Unreadable(f"The key {key[:100]!r} stands twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no JSON number.")


def _finite(text: str) -> float:
    """A number with a point or an exponent. 1.0 says what 1 says, and is read as that."""
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("It holds a number that is too large.")
    return int(number) if number.is_integer() else number
