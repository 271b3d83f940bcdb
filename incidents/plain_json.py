"""Reads JSON so that no two readers can disagree on it: duplicate keys and non-finite numbers are refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn


class Unreadable(ValueError):
    """Not JSON, or JSON on whose meaning readers disagree. The message is a sentence."""


def read(text: str) -> Any:
    """Parse the text. Raises Unreadable."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise Unreadable("It is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg}, in line {error.lineno}, column {error.colno}.") from error
    except Unreadable:
        raise
    except ValueError as error:
        # Python refuses integers with thousands of digits.
        raise Unreadable("It contains a number that is too long.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise Unreadable(f"The key {key[:100]!r} appears twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not a JSON number.")


def _finite(text: str) -> float:
    """A number with a point or an exponent. 1.0 means the same as 1, and is read as an integer."""
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("It contains a number that is too large.")
    return int(number) if number.is_integer() else number
