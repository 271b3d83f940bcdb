"""How rare a word is, counted only where whoever asks may read.

What is counted moves scores, and the order of results with them. Were drafts counted, or what belongs to one team, then
a stranger could read from the scores of public incidents how many hidden ones hold a word. So counts are of what
everybody may read, or everybody who is signed in, and are the same for all of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from incidents.scopes import Viewer
from incidents.vocabulary import Visibility
from kb.search.document import IndexDocument
from kb.search.nodes import And, Node, Term, Text

# Words that no text can hold, in the full-text index of each document that all of these may read.
EVERYBODY, SIGNED_IN = Term("\ue003"), Term("\ue004")
_MARKS = {Visibility.PUBLIC: (EVERYBODY, SIGNED_IN), Visibility.INTERNAL: (SIGNED_IN,)}


def marks(document: IndexDocument) -> list[str]:
    """What a document's words get, so that it is counted."""
    access = document.access
    return [mark.stem for mark in _MARKS.get(access["visibility"], ())] if access["published"] else []


def rarities(texts: Sequence[Text], viewer: Viewer, count: Callable[[Sequence[Node]], list[int]]) -> list[float]:
    """The inverse document frequency of each word or phrase; `count` says how many documents hold each expression."""
    mark = SIGNED_IN if viewer.is_signed_in else EVERYBODY
    total, *found = count([mark, *(And((text, mark)) for text in texts)])
    return [math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in found]
