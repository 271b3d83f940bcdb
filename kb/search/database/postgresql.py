"""The PostgreSQL dialect of the database engine: a tsvector built from our own stems, ranked by weight and rarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import structlog
from django.db import connection

from kb.search.analysis import stems
from kb.search.database.rarity import NARROWED, marks
from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, WEIGHTS, IndexDocument
from kb.search.nodes import And, Node, Or, Phrase, Term, Text

log = structlog.get_logger(__name__)

CREATE = (
    "ALTER TABLE search_searchdocument ADD COLUMN words tsvector NOT NULL DEFAULT ''; "
    "CREATE INDEX search_words ON search_searchdocument USING gin (words)"
)
DROP = "ALTER TABLE search_searchdocument DROP COLUMN words"

# A tsvector holds positions up to 16383, at most 256 of them per lexeme, and 1 MB in all; what we write stays within
# that. Where positions had to be left out, phrases are found by their pairs of adjacent words.
LAST_POSITION = 16_383
MOST_OF_ONE = 255
MOST_BYTES = 900_000
# The bytes a lexeme takes in addition to its text (the count of its positions, and alignment), and those of a position.
_OF_LEXEME, _OF_POSITION = 4, 2
# A pair has no positions. Its entry in the list of lexemes is counted here, because there can be as many as words.
_OF_PAIR = 8
# The gap in positions between two texts, so that a phrase never runs from one into the next.
GAP = 16
# Joins the words of a pair; no text can contain it.
JOINT = "\ue005"


def expression(node: Node) -> str:
    """The tsquery for a tree of words, phrases, ANDs and ORs. Stems are only letters and digits, so quoting is safe."""
    match node:
        case Term(stem=stem):
            return f"'{stem}'"
        case Phrase(stems=words):
            pairs = " & ".join(f"'{pair}'" for pair in _pairs(words))
            return f"({_in_a_row(node)} | {pairs})"
        case And(children=children):
            return "(" + " & ".join(expression(child) for child in children) + ")"
        case Or(children=children):
            return "(" + " | ".join(expression(child) for child in children) + ")"
    raise TypeError(f"not a tree of words and phrases: {node!r}")


def _in_a_row(phrase: Phrase) -> str:
    return "(" + " <-> ".join(f"'{word}'" for word in phrase.stems) + ")"


def _pairs(words: Iterable[str]) -> Iterator[str]:
    """The lexemes that a vector holds for two adjacent words."""
    return map(JOINT.join, pairwise(words))


def matching(expr: str) -> tuple[str, list[str]]:
    """The SQL condition on search_searchdocument for a tsquery, and its parameters."""
    return '"search_searchdocument"."words" @@ %s::tsquery', [expr]


def scores(texts: Mapping[Text, float], among: Node) -> tuple[str, list[object]]:
    """SQL, and its parameters, that selects (id, score) of the documents in a table `found(id)` that satisfy the tree
    `among`; a higher score is better.

    `texts` maps the words and phrases to score to their weights. ts_rank knows where a word occurs and how often, but
    not how rare it is. Multiplying by rarity, as BM25 does, lets the distinctive word of a pasted log line outweigh
    the common ones.
    """
    weights = "{" + ",".join(str(WEIGHTS[letter] / WEIGHTS["A"]) for letter in "DCBA") + "}"
    terms = " + ".join(["%s * ts_rank(%s::float4[], words, %s::tsquery, 1)"] * len(texts))
    parameters: list[object] = []
    for text, weight in texts.items():
        # The expression of a phrase is an OR, in which ts_rank would count each word of it wherever it occurs.
        parameters += [weight, weights, _in_a_row(text) if isinstance(text, Phrase) else expression(text)]
    return (
        f"SELECT incident_id AS id, round(({terms})::numeric, 6)::float8 AS score FROM search_searchdocument "
        "WHERE words @@ %s::tsquery AND incident_id IN (SELECT id FROM found)",
        [*parameters, expression(among)],
    )


def count(nodes: Sequence[Node]) -> list[int]:
    """How many documents satisfy each tree of words and phrases, without those whose access is being narrowed."""
    found = "(SELECT count(*) FROM search_searchdocument WHERE words @@ %s::tsquery"
    # Usually there are none, and subtracting them is faster than leaving them out.
    counts = ", ".join([f"{found}) - {found} AND incident_id IN ({NARROWED}))"] * len(nodes))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", [one for node in nodes for one in [expression(node)] * 2])
        return list(cursor.fetchone())


def write(documents: list[IndexDocument]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE search_searchdocument SET words = %s::tsvector WHERE incident_id = %s",
            [[vector(document), document.incident_id] for document in documents],
        )


def vector(document: IndexDocument) -> str:
    """The literal of a tsvector: 'stem':1A,7B ... PostgreSQL's own parser would split words differently.

    If there are more distinct words, or pairs of words, than a vector can hold, the first ones are kept.
    """
    places: dict[str, list[str]] = {}
    position = used = left_out = 0
    unplaced = False
    for section, text in document.texts.items():
        letter = FIELD_WEIGHTS.get(section, DEFAULT_WEIGHT)
        for stem in stems(text):
            position += 1
            of_stem = places.get(stem)
            if of_stem is None:
                size = len(stem.encode()) + _OF_LEXEME + _OF_POSITION
                if used + size > MOST_BYTES:
                    left_out += 1
                    continue
                of_stem = places[stem] = []
                used += size - _OF_POSITION
            if len(of_stem) < MOST_OF_ONE and used + _OF_POSITION <= MOST_BYTES:
                of_stem.append(f"{min(position, LAST_POSITION)}{letter}")
                used += _OF_POSITION
            else:
                unplaced = True
        position += GAP
    if left_out:
        # Worth a warning: this index is the only one, or the fallback for Elasticsearch, which holds all words.
        log.warning("search.words_left_out", incident_id=document.incident_id, words=left_out)
    words = [f"'{stem}':{','.join(found)}" for stem, found in places.items()]
    pairs = _kept_pairs(document, MOST_BYTES - used) if unplaced or position > LAST_POSITION else []
    return " ".join([*words, *(f"'{word}'" for word in (*pairs, *marks(document)))])


def _kept_pairs(document: IndexDocument, room: int) -> list[str]:
    """The distinct pairs of adjacent words, as many as fit into `room` bytes."""
    different = dict.fromkeys(pair for text in document.texts.values() for pair in _pairs(stems(text)))
    used = accumulate(len(pair.encode()) + _OF_PAIR for pair in different)
    return [pair for pair, size in zip(different, used, strict=True) if size <= room]


def remove(incident_ids: list[int]) -> None:
    """Nothing to do: the words are deleted with their row."""
