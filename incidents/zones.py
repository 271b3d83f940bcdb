"""Time zones by their IANA names."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from incidents.errors import Invalid
from incidents.text import clean


@cache
def zones() -> list[str]:
    """Every time zone name that a user can choose, UTC first."""
    names = {
        name
        for name in available_timezones()
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix", "right"))
    }
    return ["UTC", *sorted(names)]


def clean_zone(field: str, value: Any) -> str:
    """The cleaned name. Raises Invalid, naming `field`, unless it is one of `zones`."""
    name = clean(field, value, max_characters=64, single_line=True)
    if name not in zones():
        raise Invalid({field: "Enter an IANA time zone name, such as UTC or Europe/Madrid."})
    return name
