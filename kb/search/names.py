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

from incidents import scopes
from incidents.scopes import Viewer
from kb.patterns.models import Pattern
from kb.search.fields import MAX_NAME, fold_name
from kb.search.lexer import MAX_CORRECTIONS, Correction, replace_filter
from kb.search.nodes import ChoiceFilter, Node, leaves
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
    names = _Names(viewer)
    unknown = (
        (leaf, _NOUNS[leaf.field], value)
        for leaf in dict.fromkeys(filters)
        if isinstance(leaf, ChoiceFilter) and leaf.field in _NOUNS
        for value in leaf.values
        if value not in names.taken(_NOUNS[leaf.field])
    )
    # Comparing all of a long list of values with all names would take too long.
    for leaf, noun, value in islice(unknown, MAX_CORRECTIONS):
        reason = f"There is no {noun} {value}."
        near = names.near(noun, value)
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
    names = _Names(viewer)
    unknown = (
        (noun, value)
        for noun, values in chosen.items()
        if noun in _SOURCES
        for value in dict.fromkeys(values)
        if fold_name(value) not in names.taken(noun)
    )
    sentences = []
    for noun, value in islice(unknown, MAX_CORRECTIONS):
        near = names.near(noun, fold_name(value))
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


class _Names:
    """The names that a viewer can see, by noun: organization, pattern, team, service. Loaded when first needed."""

    def __init__(self, viewer: Viewer) -> None:
        self._of = cache(lambda noun: sorted(_SOURCES[noun](viewer), key=attrgetter("value")))
        self.taken = cache(lambda noun: {one for name in self._of(noun) for one in name.taken})

    def near(self, noun: str, value: str) -> list[str]:
        return _near(value, self._of(noun))


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


_SOURCES: dict[str, Callable[[Viewer], Iterable[_Name]]] = {
    "organization": _organizations,
    "pattern": _patterns,
    "team": _teams,
    "service": _services,
}
# The fields of the query language that take names.
_NOUNS = {"org": "organization", "pattern": "pattern", "team": "team", "service": "service"}
