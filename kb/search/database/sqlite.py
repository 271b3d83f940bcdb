"""SQLite's side of the database engine: an FTS5 table with one column per weight, ranked by BM25."""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.db import connection

from kb.search.analysis import stems
from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, WEIGHTS, IndexDocument
from kb.search.nodes import And, Node, Or, Phrase, Term, Text

CREATE = 'CREATE VIRTUAL TABLE search_words USING fts5(a, b, c, d, tokenize="unicode61 remove_diacritics 0")'
DROP = "DROP TABLE search_words"

# A word that no text can hold, between two texts: a phrase never runs from one into the next.
BOUNDARY = "\ue002"


def expression(node: Node) -> str:
    """The FTS5 query of a tree of words, phrases, and, or. Stems are letters and digits only, so quoting them is
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
    raise TypeError(f"no words and phrases only: {node!r}")


def matching(expr: str) -> tuple[str, list[str]]:
    """A condition on search_searchdocument, with its parameters."""
    return (
        '"search_searchdocument"."incident_id" IN (SELECT rowid FROM search_words WHERE search_words MATCH %s)',
        [expr],
    )


def scores(scoring: tuple[Text, ...], among: Node) -> tuple[str, list[object]]:
    """A query that gives (id, score) of what the tree `among`, of these words and phrases, holds for in a table
    `found(id)`; higher is better."""
    weights = ", ".join(str(WEIGHTS[letter]) for letter in "ABCD")
    return (
        # With the plus sign, rows are looked up in what was found, and not one by one in the index.
        f"SELECT rowid AS id, -bm25(search_words, {weights}) AS score FROM search_words "
        "WHERE search_words MATCH %s AND +rowid IN (SELECT id FROM found)",
        [expression(among)],
    )


def rarities(texts: Sequence[Text]) -> list[float]:
    """The inverse document frequency of each word or phrase."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM search_words")
        total = cursor.fetchone()[0]
        counts = []
        for text in texts:
            cursor.execute("SELECT count(*) FROM search_words WHERE search_words MATCH %s", [expression(text)])
            counts.append(cursor.fetchone()[0])
    return [math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in counts]


def write(documents: list[IndexDocument]) -> None:
    remove([document.incident_id for document in documents])
    rows: list[list[int | str]] = []
    for document in documents:
        columns: dict[str, list[str]] = {letter: [] for letter in WEIGHTS}
        for section, text in document.texts.items():
            columns[FIELD_WEIGHTS.get(section, DEFAULT_WEIGHT)].append(" ".join(stems(text)))
        rows.append([document.incident_id, *(f" {BOUNDARY} ".join(columns[letter]) for letter in WEIGHTS)])
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO search_words(rowid, a, b, c, d) VALUES (%s, %s, %s, %s, %s)", rows)


def remove(incident_ids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM search_words WHERE rowid = %s", [[pk] for pk in incident_ids])
