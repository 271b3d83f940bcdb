"""What only PostgreSQL's text search makes necessary."""

from __future__ import annotations

import hashlib

import pytest
from django.db import connection

from incidents.actions.sections import change_section
from incidents.models import OutboxEntry
from kb.search import relay
from kb.search.database.postgresql import MOST_BYTES, vector
from kb.search.document import build_many
from kb.search.service import SearchRequest, search

pytestmark = pytest.mark.postgres_only


def digests(begin, count):
    """Different words, none a part of another, as listings of checksums have them."""
    return "\n".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(begin, begin + count))


def test_an_incident_of_more_words_than_a_vector_holds_is_found_by_the_first_of_them(cast, draft, caplog):
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


@pytest.mark.parametrize("word", ["障", "ᾳ" * 60, "a" * 64])
def test_no_text_makes_a_vector_that_postgresql_refuses(draft, word):
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
