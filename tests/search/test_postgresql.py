"""The limits that only PostgreSQL's text search has."""

from __future__ import annotations

import hashlib
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from incidents.actions.sections import change_section
from incidents.models import OutboxEntry
from kb.search import relay
from kb.search.database.postgresql import LAST_POSITION, MOST_BYTES, vector
from kb.search.document import build_many
from kb.search.service import SearchRequest, search

pytestmark = pytest.mark.postgres_only


def digests(begin, count):
    """Distinct words, none of them part of another, as in a listing of checksums."""
    return "\n".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(begin, begin + count))


def test_an_incident_with_more_words_than_a_vector_holds_is_found_by_the_first_ones(cast, draft, caplog):
    incident = draft("Checksums differed")
    for place, key in enumerate(("summary", "impact", "detection", "trigger")):
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key=key, body=digests(place * 4000, 4000))
    relay.drain()
    assert not OutboxEntry.objects.exists()

    def total(q):
        return search(cast.viewer("author"), SearchRequest(q=q)).total

    assert total("checksums") == total(digests(0, 1)) == total(digests(4000, 1)) == 1
    assert total(digests(15_999, 1)) == 0
    told = [record.msg for record in caplog.records if record.msg["event"] == "search.words_left_out"]
    assert [one["incident_id"] for one in told] == [incident.pk]


def test_a_phrase_late_in_a_long_text_is_found_like_any_other(cast, draft):
    texts = {
        "summary": "We checked the server and the log. " * 140 + "Then the wombat fell over the fence.",
        "impact": "\n".join(f"10.0.0.{n} refused" for n in range(1, 140)) + "\n10.0.0.222 refused at last",
        "detection": " ".join(f"w{n}" for n in range(LAST_POSITION)) + " a numbat dug there",
    }
    incident = draft("Long texts")
    for key, body in texts.items():
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key=key, body=body)
    relay.drain()

    def found(*queries):
        return [q for q in queries if search(cast.viewer("author"), SearchRequest(q=q)).results]

    there = ['"the wombat"', '"over the fence"', "10.0.0.222", "10.0.0.5", '"numbat dug"', '"checked the server"']
    assert found(*there) == there
    # Not adjacent, in the wrong order, across two texts, and not there at all.
    assert found('"wombat fence"', '"wombat the"', '"fence 10"', "10.0.0.223") == []


def test_documents_without_pairs_of_words_are_rebuilt(cast, draft):
    draft("A numbat dug there")
    relay.drain()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE search_searchdocument SET words = ''")
    editor = SimpleNamespace(connection=connection)
    import_module("kb.search.migrations.0008_days_and_pairs_of_words").build_anew(apps, editor)
    relay.drain()
    assert search(cast.viewer("author"), SearchRequest(q='"numbat dug"')).total == 1


@pytest.mark.parametrize("word", ["障", "ᾳ" * 60, "a" * 64])
def test_no_text_gives_a_vector_that_postgresql_rejects(draft, word):
    incident = draft("Many words")
    document = build_many([incident.pk])[incident.pk]
    document.texts["summary"] = " ".join(f"{n}{word} {word} again" for n in range(60_000))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT length(words), pg_column_size(words) FROM (SELECT %s::tsvector) AS of(words)", [vector(document)]
        )
        lexemes, size = cursor.fetchone()
    assert lexemes > 5_000
    assert MOST_BYTES * 0.9 < size < 1024**2
