"""Facets and chips of the search page.

A facet has a title and shows its selected values first, and the rest behind "more". A chip removes a selected value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.http import QueryDict

from kb.search.service import FacetValue

# In the order of the page, which is the order in which people narrow down a search.
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
VALUES_SHOWN = 8
# Facets whose values have a natural order, so selected values are not moved to the front.
_ORDERED = ("severity", "duration")


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    title: str
    first: list[FacetValue]
    more: list[FacetValue]


@dataclass(frozen=True, slots=True)
class Chip:
    """One selected value. `url` is the same search without it."""

    title: str
    label: str
    url: str


def selected_values(parameters: QueryDict) -> dict[str, list[str]]:
    """The selected values by facet, without duplicates and empty values."""
    found = {name: list(dict.fromkeys(filter(None, parameters.getlist(name)))) for name in TITLES}
    return {name: values for name, values in found.items() if values}


def facets(counted: dict[str, list[FacetValue]]) -> list[Facet]:
    """The facets that can narrow the results, or that have a selected value."""
    return [_facet(name, counted[name]) for name in TITLES if _can_narrow(counted.get(name, []))]


def _can_narrow(values: Iterable[FacetValue]) -> bool:
    values = [value for value in values if value.count or value.selected]
    return len(values) > 1 or any(value.selected for value in values)


def _facet(name: str, values: list[FacetValue]) -> Facet:
    values = [value for value in values if value.count or value.selected]
    if name not in _ORDERED:
        values.sort(key=lambda value: not value.selected)
    shown = max(VALUES_SHOWN, sum(value.selected for value in values))
    # A single remaining value takes no more room than the word "more".
    if len(values) == shown + 1:
        shown += 1
    return Facet(name, TITLES[name], values[:shown], values[shown:])


def chips(counted: dict[str, list[FacetValue]], parameters: QueryDict, path: str) -> list[Chip]:
    return [
        Chip(TITLES[name], value.label, url_without(parameters, path, name, value.requested))
        for name in TITLES
        for value in counted.get(name, [])
        if value.selected
    ]


def url_without(parameters: QueryDict, path: str, name: str, values: Collection[str]) -> str:
    """The address without the given values of a facet, at the first page."""
    other = _first_page(parameters)
    other.setlist(name, [value for value in other.getlist(name) if value not in values])
    return address(path, other)


def url_with(parameters: QueryDict, path: str, **values: str) -> str:
    """The address with `values` replaced, at the first page unless `cursor` is among them."""
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
