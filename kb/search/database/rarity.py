"""How rare a word is, counted only among documents that the viewer can read.

These counts influence scores, and with them the order of results. If they included drafts or the incidents of a single
team, a stranger could infer from the scores of public incidents how many hidden ones contain a word. So only documents
that everyone can read are counted or, for signed-in viewers, those that every signed-in user can read. Within each of
these two groups, all viewers get the same counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from incidents.scopes import Viewer
from incidents.vocabulary import Visibility
from kb.search.database import CONSUMER
from kb.search.document import IndexDocument
from kb.search.likeness import inverse_frequency
from kb.search.nodes import And, Node, Term, Text

# The incidents whose access was narrowed since they were indexed: their documents still have the marks.
NARROWED = f"SELECT incident_id FROM incidents_outboxentry WHERE consumer = '{CONSUMER}' AND narrows"

# Returns how many documents satisfy each tree of words and phrases.
Count = Callable[[Sequence[Node]], list[int]]

# Words that no text can contain, added to the full-text index of each document that everyone, or every signed-in user,
# can read.
EVERYBODY, SIGNED_IN = Term("\ue003"), Term("\ue004")
_MARKS = {Visibility.PUBLIC: (EVERYBODY, SIGNED_IN), Visibility.INTERNAL: (SIGNED_IN,)}


def marks(document: IndexDocument) -> list[str]:
    """The marks to index with a document's words, so that it is counted."""
    access = document.access
    return [mark.stem for mark in _MARKS.get(access["visibility"], ())] if access["published"] else []


def rarities(texts: Sequence[Text], viewer: Viewer, count: Count) -> list[float]:
    """The inverse document frequency of each word or phrase."""
    total, found = count_readable(texts, viewer, count)
    return [inverse_frequency(total, n) for n in found]


def count_readable(nodes: Sequence[Node], viewer: Viewer, count: Count) -> tuple[int, list[int]]:
    """How many documents count for this viewer, and how many of them satisfy each tree of words and phrases."""
    mark = mark_of(viewer)
    total, *found = count([mark, *(And((node, mark)) for node in nodes)])
    return total, found


def mark_of(viewer: Viewer) -> Term:
    """The mark of the documents that count for this viewer."""
    return SIGNED_IN if viewer.is_signed_in else EVERYBODY
