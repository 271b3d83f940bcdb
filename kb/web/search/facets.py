"""Facets as the page shows them: titled, the chosen first, the rest behind "more", and the chips that undo a choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.http import QueryDict

from kb.search.service import FacetValue

# In the order of the page, which is the order in which people narrow a search down.
TITLES = {
    "origin": "Origin",
    "pattern": "Pattern",
    "severity": "Severity",
    "duration": "Duration",
    "organization": "Organization",
    "year": "Year",
    "family": "Family",
    "mitigation": "Mitigated by",
    "detected_by": "Detected by",
    "status": "Status",
}
SHOWN_AT_ONCE = 8
# Their values have an order that means something: a chosen one stays in its place.
_IN_ORDER = ("severity", "duration")


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    title: str
    first: list[FacetValue]
    more: list[FacetValue]


@dataclass(frozen=True, slots=True)
class Chip:
    """One choice that is in force; `url` is the same search without it."""

    title: str
    label: str
    url: str


def chosen(parameters: QueryDict) -> dict[str, list[str]]:
    """{facet: values} of an address, without repetitions and empty values."""
    found = {name: list(dict.fromkeys(filter(None, parameters.getlist(name)))) for name in TITLES}
    return {name: values for name, values in found.items() if values}


def facets(counted: dict[str, list[FacetValue]]) -> list[Facet]:
    """Those facets that divide what was found, or that something was chosen of."""
    return [_facet(name, counted[name]) for name in TITLES if _helps(counted.get(name, []))]


def _helps(values: Iterable[FacetValue]) -> bool:
    values = [value for value in values if value.count or value.selected]
    return len(values) > 1 or any(value.selected for value in values)


def _facet(name: str, values: list[FacetValue]) -> Facet:
    values = [value for value in values if value.count or value.selected]
    if name not in _IN_ORDER:
        values.sort(key=lambda value: not value.selected)
    at_once = max(SHOWN_AT_ONCE, sum(value.selected for value in values))
    # One value more takes no more room than the word "more".
    if len(values) == at_once + 1:
        at_once += 1
    return Facet(name, TITLES[name], values[:at_once], values[at_once:])


def chips(counted: dict[str, list[FacetValue]], parameters: QueryDict, path: str) -> list[Chip]:
    return [
        Chip(TITLES[name], value.label, without(parameters, path, name, value.asked))
        for name in TITLES
        for value in counted.get(name, [])
        if value.selected
    ]


def without(parameters: QueryDict, path: str, name: str, values: Collection[str]) -> str:
    """The address without some values of a facet, at its first page."""
    changed = _first_page(parameters)
    changed.setlist(name, [kept for kept in changed.getlist(name) if kept not in values])
    return address(path, changed)


def changed(parameters: QueryDict, path: str, **values: str) -> str:
    """The address with other values, at its first page unless `cursor` is given."""
    other = _first_page(parameters)
    for name, value in values.items():
        other[name] = value
    return address(path, other)


def address(path: str, parameters: QueryDict) -> str:
    text = parameters.urlencode()
    return f"{path}?{text}" if text else path


def _first_page(parameters: QueryDict) -> QueryDict:
    other = parameters.copy()
    other.pop("cursor", None)
    return other
