"""What to say about the names in a search or a filter: which organization, pattern, team or service was probably meant
instead of one that is not there, and that the words are the name of a pattern.

Only names that the viewer can see are known here, so what is missing and what is hidden look the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from incidents import scopes
from incidents.scopes import Viewer
from kb.patterns.models import Pattern
from kb.search.fields import MAX_NAME, fold_name
from kb.search.lexer import MAX_CORRECTIONS, Correction, replace_filter
from kb.search.nodes import AnyFilter, ChoiceFilter, Node, leaves
from kb.search.query import Query, parse

_MOST_FOR_ONE = 3
# Ratcliff and Obershelp's similarity, from 0 to 1: one typo in a name of five letters, or two in one of ten.
_SIMILAR = 0.75
_NEEDS_QUOTES = re.compile(r"[\s,()]")


@dataclass(frozen=True, slots=True)
class _Name:
    """A name as it is suggested. `taken`: what filters take for it. `ways`: how people may refer to it. Both folded."""

    value: str
    taken: tuple[str, ...]
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """What to say about unknown names: corrections where other names are near, notices where none is."""

    corrections: tuple[Correction, ...] = ()
    notices: tuple[str, ...] = ()


def unknown_names(query: Query, viewer: Viewer, *, found: bool) -> Unknown:
    """The unknown names in a query. If it found something, only those that nobody would miss in what was found: names
    that are excluded, or one of several."""
    corrections, notices = [], []
    sought = set(leaves(query.root, positive=True))
    filters = [leaf for leaf in query.filters if not found or leaf not in sought or len(leaf.values) > 1]
    # Comparing all of a long list of values with all names would take too long.
    for leaf, value, names in islice(_unknown(filters, viewer), MAX_CORRECTIONS):
        reason = f"There is no {_SOURCES[leaf.field].noun} {value}."
        near = _near(value, names)
        for meant in near:
            written = [meant if one == value else one for one in leaf.values]
            suggestion = f"{leaf.field}:{','.join(map(_quoted, written))}"
            corrected = replace_filter(query.text, leaf.text, suggestion)
            corrections.append(Correction(leaf.text, suggestion, corrected, reason))
        if not near:
            notices.append(reason)
    return Unknown(tuple(corrections), tuple(notices))


def unknown_values(chosen: Mapping[str, Iterable[str]], viewer: Viewer) -> tuple[str, ...]:
    """A sentence for each unknown name among the values of filters that found nothing. `chosen` maps the names of the
    filters, such as organization, to their values; filters that do not take names are ignored."""
    sources = {source.noun: source for source in _SOURCES.values()}
    names_of = cache(lambda noun: sorted(sources[noun].load(viewer), key=attrgetter("value")))
    taken_by = cache(lambda noun: _taken(names_of(noun)))
    asked = ((noun, value) for noun, values in chosen.items() if noun in sources for value in dict.fromkeys(values))
    unknown = ((noun, value) for noun, value in asked if fold_name(value) not in taken_by(noun))
    sentences = []
    for noun, value in islice(unknown, MAX_CORRECTIONS):
        near = _near(fold_name(value), names_of(noun))
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        sentences.append(f"There is no {noun} {value[:MAX_NAME]}.{hint}")
    return tuple(sentences)


def named_pattern(query: Query, load: Callable[[], Iterable[tuple[str, str]]]) -> tuple[Correction, ...]:
    """If the query is the name of a pattern: a search for that pattern. `load` returns their slugs and names."""
    if not query.terms or query.filters or len(query.text) > MAX_NAME:
        return ()
    for slug, name in load():
        if query.root in _searches(name):
            return (Correction(query.text, f"pattern:{slug}", f"pattern:{slug}", f"{name} is a pattern."),)
    return ()


@cache
def _searches(name: str) -> list[Node | None]:
    """What a search for a name looks for, and for each side of an "or" in it."""
    return [parse(part).root for part in (name, *name.split(" or "))]


def _unknown(filters: Iterable[AnyFilter], viewer: Viewer) -> Iterator[tuple[ChoiceFilter, str, list[_Name]]]:
    """The values of filters that are no name, each with its filter and the names there are."""
    names_of = cache(lambda field: sorted(_SOURCES[field].load(viewer), key=attrgetter("value")))
    taken_by = cache(lambda field: _taken(names_of(field)))
    for leaf in dict.fromkeys(filters):
        if isinstance(leaf, ChoiceFilter) and leaf.field in _SOURCES:
            unknown = [value for value in leaf.values if value not in taken_by(leaf.field)]
            yield from ((leaf, value, names_of(leaf.field)) for value in unknown)


def _taken(names: list[_Name]) -> set[str]:
    return {one for name in names for one in name.taken}


def _near(value: str, names: list[_Name]) -> list[str]:
    """The names that the value abbreviates, or else those that contain it, or else those that are spelled like it."""
    near = [name.value for name in names if value in map(_initials, name.ways)]
    if not near and (wanted := set(_words(value))):
        near = [name.value for name in names if any(wanted <= {*_words(way)} for way in name.ways)]
    if not near:
        by_way = {way: name.value for name in names for way in name.ways}
        near = [by_way[way] for way in get_close_matches(value, by_way, _MOST_FOR_ONE, _SIMILAR)]
    return list(dict.fromkeys(near))[:_MOST_FOR_ONE]


def _words(name: str) -> list[str]:
    return re.findall(r"\w+", name)


def _initials(name: str) -> str:
    words = _words(name)
    return "".join(word[0] for word in words) if len(words) > 1 else ""


def _quoted(value: str) -> str:
    return f'"{value}"' if _NEEDS_QUOTES.search(value) else value


# --- The names there are ---------------------------------------------------------------------------
def _organizations(viewer: Viewer) -> Iterable[_Name]:
    return _named(scopes.visible_organizations(viewer).values_list("name", "slug"))


def _teams(viewer: Viewer) -> Iterable[_Name]:
    return _named(scopes.visible_teams(viewer).values_list("name", "slug"))


def _services(viewer: Viewer) -> Iterable[_Name]:
    return _named(scopes.visible_services(viewer).values_list("name", "slug"))


def _patterns(viewer: Viewer) -> Iterable[_Name]:
    for slug, name, into in Pattern.objects.values_list("slug", "name", "merged_into__slug"):
        yield _Name(into or slug, (slug,), (slug, fold_name(name)))


def _named(rows: Iterable[tuple[str, str]]) -> Iterator[_Name]:
    """From rows of a name and a slug. A query cannot have a name that contains a quote, so the slug stands for it."""
    for name, slug in rows:
        ways = (fold_name(name), slug)
        yield _Name(slug if '"' in name else name, ways, ways)


class _Source(NamedTuple):
    noun: str
    load: Callable[[Viewer], Iterable[_Name]]


_SOURCES = {
    "org": _Source("organization", _organizations),
    "pattern": _Source("pattern", _patterns),
    "team": _Source("team", _teams),
    "service": _Source("service", _services),
}
