"""The SQLite dialect of the database engine: an FTS5 table with one column per weight, and a table of occurrences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection

from kb.search.analysis import stems
from kb.search.database.rarity import NARROWED, marks
from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, WEIGHTS, IndexDocument
from kb.search.nodes import And, Node, Or, Phrase, Term, Text

CREATE = 'CREATE VIRTUAL TABLE search_words USING fts5(a, b, c, d, tokenize="unicode61 remove_diacritics 0")'
DROP = "DROP TABLE search_words"
# One row for each occurrence of a word.
CREATE_PLACES = "CREATE VIRTUAL TABLE search_places USING fts5vocab(search_words, instance)"
DROP_PLACES = "DROP TABLE search_places"

# A word that no text can contain, placed between two texts so that a phrase never runs from one into the next.
BOUNDARY = "\ue002"
# BM25's k1: a word with this many weighted occurrences adds half of its maximum.
_HALF = 1.2
_BY_LETTER = " ".join(f"WHEN '{letter.lower()}' THEN {weight}" for letter, weight in WEIGHTS.items())
# The weighted occurrences of a word, or of a phrase, in each document of `found`. A phrase counts at most once per
# weight. The unary plus makes SQLite check the matches against `found` instead of probing the index once per document.
_OF_TERM = (
    f"SELECT doc AS id, sum(CASE col {_BY_LETTER} END) AS often FROM search_places "
    "WHERE term = %s AND doc IN (SELECT id FROM found) GROUP BY doc"
)
_OF_PHRASE = "SELECT id, sum(weight) AS often FROM ({}) GROUP BY id".format(
    " UNION ALL ".join(
        f"SELECT rowid AS id, {weight} AS weight FROM search_words "
        "WHERE search_words MATCH %s AND +rowid IN (SELECT id FROM found)"
        for weight in WEIGHTS.values()
    )
)


def expression(node: Node) -> str:
    """The FTS5 query for a tree of words, phrases, ANDs and ORs. Stems are only letters and digits, so quoting is
    safe."""
    match node:
        case Term(stem=stem):
            return f'"{stem}"'
        case Phrase(stems=words):
            return f'"{" ".join(words)}"'
        case And(children=children):
            return "(" + " AND ".join(expression(child) for child in children) + ")"
        case Or(children=children):
            return "(" + " OR ".join(expression(child) for child in children) + ")"
    raise TypeError(f"not a tree of words and phrases: {node!r}")


def matching(expr: str) -> tuple[str, list[str]]:
    """The SQL condition on search_searchdocument for an FTS5 query, and its parameters."""
    return (
        '"search_searchdocument"."incident_id" IN (SELECT rowid FROM search_words WHERE search_words MATCH %s)',
        [expr],
    )


def scores(texts: Mapping[Text, float], among: Node) -> tuple[str, list[object]]:
    """SQL, and its parameters, that selects (id, score) of the documents in a table `found(id)` that contain any of
    these words and phrases; a higher score is better.

    `texts` maps the words and phrases to their weights. `among` is only needed by PostgreSQL: here, documents without
    any of the words are never looked at. This is BM25 without its normalization by length; FTS5's own bm25() counts
    over all documents, hidden ones included.
    """
    parts: list[str] = []
    parameters: list[object] = []
    for text, weight in texts.items():
        if isinstance(text, Term):
            places, wanted = _OF_TERM, [text.stem]
        else:
            places, wanted = _OF_PHRASE, [f"{{{letter}}}: {expression(text)}" for letter in WEIGHTS]
        parts.append(f"SELECT id, %s * often / (often + {_HALF}) AS score FROM ({places})")
        parameters += [weight, *wanted]
    every = " UNION ALL ".join(parts)
    return f"SELECT id, round(sum(score), 6) AS score FROM ({every}) GROUP BY id", parameters


def count(nodes: Sequence[Node]) -> list[int]:
    """How many documents satisfy each tree of words and phrases, without those whose access is being narrowed."""
    found = "(SELECT count(*) FROM search_words WHERE search_words MATCH %s"
    # Usually there are none, and subtracting them is faster than leaving them out.
    counts = ", ".join([f"{found}) - {found} AND rowid IN ({NARROWED}))"] * len(nodes))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", [one for node in nodes for one in [expression(node)] * 2])
        return list(cursor.fetchone())


def write(documents: list[IndexDocument]) -> None:
    remove([document.incident_id for document in documents])
    rows: list[list[int | str]] = []
    for document in documents:
        columns: dict[str, list[str]] = {letter: [] for letter in WEIGHTS}
        for section, text in document.texts.items():
            columns[FIELD_WEIGHTS.get(section, DEFAULT_WEIGHT)].append(" ".join(stems(text)))
        columns["D"] += marks(document)
        rows.append([document.incident_id, *(f" {BOUNDARY} ".join(columns[letter]) for letter in WEIGHTS)])
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO search_words(rowid, a, b, c, d) VALUES (%s, %s, %s, %s, %s)", rows)


def remove(incident_ids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM search_words WHERE rowid = %s", [[pk] for pk in incident_ids])
