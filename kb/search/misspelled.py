"""Which words were probably meant instead of ones that no incident contains.

Suggestions come from what the viewer can read, so a word in a hidden incident looks like one that is nowhere.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from difflib import SequenceMatcher, get_close_matches

from incidents import scopes
from incidents.scopes import Viewer
from kb.search.engine import Engine, EngineRequest
from kb.search.fields import edit_distance
from kb.search.lexer import Correction, replace_word
from kb.search.models import SearchDocument
from kb.search.nodes import AnyFilter, Term, Text, leaves, rebuild
from kb.search.query import Query, parse

# Shorter words are near to too many others.
_SHORTEST = 5
_MOST_WORDS = 3
# Ratcliff and Obershelp's similarity, from 0 to 1, to find candidates with.
_SIMILAR = 0.8
# Two typos in a word with this many letters, in a shorter one only one. The first letter is hardly ever wrong.
_TWO_TYPOS = 8
# The newest of what the viewer can read is enough to know the usual words, and is read in a fraction of a second.
_MOST_DOCUMENTS, _MOST_CHARACTERS = 500, 2_000_000
_WORD = re.compile(r"[^\W\d_]{4,}")


def respelled(engine: Engine, request: EngineRequest, query: Query) -> tuple[Correction, ...]:
    """For a query that found nothing: corrections of the words that are probably misspelled. They are made only if the
    query with all of them finds something."""
    suspects = [] if query.is_paste else [leaf for leaf in leaves(query.root, positive=True) if _may_be_a_typo(leaf)]
    anywhere = replace(request, chosen={}, size=1)
    nowhere = [leaf for leaf in suspects[:_MOST_WORDS] if not engine.search(replace(anywhere, root=leaf)).total]
    known = _known_words(request.viewer) if nowhere else Counter()
    meant = {leaf: word for leaf in nowhere if (word := _nearest(leaf.text.lower(), known))}
    if not meant:
        return ()
    root = rebuild(query.root, lambda leaf: parse(meant[leaf]).root if leaf in meant and _may_be_a_typo(leaf) else leaf)
    if not engine.search(replace(request, root=root, size=1)).total:
        return ()
    text = query.text
    for leaf, word in meant.items():
        text = replace_word(text, leaf.text, word)
    return tuple(
        Correction(leaf.text, word, text, f"No incident that you can see contains the word {leaf.text}.")
        for leaf, word in meant.items()
    )


def _may_be_a_typo(leaf: Text | AnyFilter) -> bool:
    return isinstance(leaf, Term) and not leaf.quoted and leaf.text.isalpha() and len(leaf.text) >= _SHORTEST


def _known_words(viewer: Viewer) -> Counter[str]:
    """The words in what the viewer can read, and how often they occur."""
    visible = SearchDocument.objects.filter(incident__in=scopes.visible_incidents(viewer)).order_by("-pk")
    found: Counter[str] = Counter()
    left = _MOST_CHARACTERS
    for texts in visible.values_list("texts", flat=True)[:_MOST_DOCUMENTS].iterator(20):
        for text in texts.values():
            found.update(map(str.lower, _WORD.findall(text, 0, left)))
            left = max(left - len(text), 0)
        if not left:
            break
    return found


def _nearest(word: str, known: Counter[str]) -> str:
    """The known word that is spelled most like this one, and of several such words the most frequent; or ""."""
    typos = 2 if len(word) >= _TWO_TYPOS else 1
    near = [
        one
        for one in get_close_matches(word, known, 10, _SIMILAR)
        if one[0] == word[0] and edit_distance(one, word) <= typos
    ]
    return max(near, key=lambda one: (SequenceMatcher(None, one, word).ratio(), known[one]), default="")
