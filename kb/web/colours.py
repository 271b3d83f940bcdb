"""The colours of the design tokens, for drawings that cannot use the stylesheet."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STYLESHEET = Path(__file__).parent / "assets" / "precedent" / "css" / "tokens.css"
SCHEMES = ("light", "dark")

_TOKEN = re.compile(r"--([\w-]+):\s*(#[0-9a-fA-F]{3,8})\s*;")


@cache
def colours(scheme: str) -> dict[str, str]:
    """The colours by name, without the leading dashes: {"ink": "#1d1b17"}. `scheme` is "light" or "dark"."""
    light, dark = STYLESHEET.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    found = dict(_TOKEN.findall(light))
    return found | dict(_TOKEN.findall(dark)) if scheme == "dark" else found
