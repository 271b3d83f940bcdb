"""What is scored: as little as can be, without a change in anybody's score."""

from __future__ import annotations

import pytest

from incidents.scopes import ANONYMOUS
from kb.search import relay
from kb.search.database.conditions import scored
from kb.search.nodes import And, Or, Phrase, Term
from kb.search.query import parse
from kb.search.service import SearchRequest, search


@pytest.mark.parametrize(
    ("text", "among"),
    [
        ("cache retry", And((Term("cach"), Term("retri")))),
        ("cache OR retry", Or((Term("cach"), Term("retri")))),
        ('"cache miss" retry', And((Phrase(("cach", "miss")), Term("retri")))),
        ("cache -retry severity:sev1", Term("cach")),
        # What holds by the filter alone has no score.
        ("cache OR severity:sev1", Term("cach")),
        # A document that is found for "dns" may hold "cache" without "retry", and that counts.
        ("(cache retry) OR dns", Or((Term("cach"), Term("retri"), Term("dns")))),
        ("severity:sev1 -cache", None),
        ("", None),
    ],
)
def test_only_what_is_found_by_its_words_is_scored(text, among):
    assert scored(parse(text).root)[0] == among


@pytest.mark.django_db
def test_a_narrower_search_gives_the_same_score(published):
    for title in (
        "Cache resize",
        "Retry storm",
        "Cache emptied and retry storm",
        "Disk full",
        "Power lost",
        "Queue grew",
    ):
        published(title, text="Nothing else is said.", visibility="public")
    relay.drain()
    scores = {
        text: {one.title: one.score for one in search(ANONYMOUS, SearchRequest(q=text)).results}
        for text in ("cache retry", "cache OR retry")
    }
    both = "Cache emptied and retry storm"
    assert list(scores["cache retry"]) == [both]
    assert scores["cache retry"][both] == scores["cache OR retry"][both] > scores["cache OR retry"]["Cache resize"] > 0
