"""How rare a word is, counted only where whoever asks may read.

What is counted moves scores, and the order of results with them. Were drafts counted, or what belongs to one team, then
a stranger could read from the scores of public incidents how many hidden ones hold a word. So counts are of what
everybody may read, or everybody who is signed in, and are the same for all of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from incidents.scopes import Viewer
from incidents.vocabulary import Visibility
from kb.search.document import IndexDocument
from kb.search.likeness import inverse_frequency
from kb.search.nodes import And, Node, Term, Text

# How many documents hold each tree of words and phrases.
Count = Callable[[Sequence[Node]], list[int]]

# Words that no text can hold, in the full-text index of each document that all of these may read.
EVERYBODY, SIGNED_IN = Term("\ue003"), Term("\ue004")
_MARKS = {Visibility.PUBLIC: (EVERYBODY, SIGNED_IN), Visibility.INTERNAL: (SIGNED_IN,)}


def marks(document: IndexDocument) -> list[str]:
    """What a document's words get, so that it is counted."""
    access = document.access
    return [mark.stem for mark in _MARKS.get(access["visibility"], ())] if access["published"] else []


def rarities(texts: Sequence[Text], viewer: Viewer, count: Count) -> list[float]:
    """The inverse document frequency of each word or phrase."""
    total, found = counted(texts, viewer, count)
    return [inverse_frequency(total, n) for n in found]


def counted(nodes: Sequence[Node], viewer: Viewer, count: Count) -> tuple[int, list[int]]:
    """How many documents there are, and how many of them hold each tree of words and phrases."""
    mark = SIGNED_IN if viewer.is_signed_in else EVERYBODY
    total, *found = count([mark, *(And((node, mark)) for node in nodes)])
    return total, found
