"""What is suggested for words that no incident contains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from incidents.models import Incident
from kb.search import relay
from kb.search.service import SearchRequest, search
from tests.conftest import Cast

pytestmark = pytest.mark.django_db

Corrected = Callable[..., list[tuple[str, str, str]]]


@pytest.fixture
def corrected(cast: Cast, published: Callable[..., Incident]) -> Corrected:
    """corrected(query, by=name): what was found, what was meant and the whole query, for each correction."""
    for title, text, visibility in (
        ("A certificate expired", "Kubernetes nodes rejected it. The database was fine.", "public"),
        ("A replica fell behind", "The database lagged.", "public"),
        ("Wombats in the ledger", "A quokka chewed a cable.", "team"),
    ):
        published(title, text=text, visibility=visibility)
    relay.drain()

    def of(query: str, by: str = "anonymous", **more: object) -> list[tuple[str, str, str]]:
        found = search(cast.viewer(by), SearchRequest(q=query, **more)).corrections
        return [(one.found, one.suggestion, one.query) for one in found]

    return of


@pytest.mark.parametrize(
    ("query", "meant"),
    [("certficate", "certificate"), ("Kuberentes", "kubernetes"), ("databse", "database"), ("relpica", "replica")],
)
def test_a_word_that_is_nowhere_is_corrected_to_the_nearest_one(corrected, query, meant):
    assert corrected(query) == [(query, meant, meant)]


def test_the_rest_of_the_query_stays_as_it_was(corrected):
    assert corrected("(databse, OR wibble) -\"databse\" is:public") == [
        ("databse", "database", "(database, OR wibble) -\"databse\" is:public")
    ]  # fmt: skip


def test_several_words_are_corrected_together(corrected):
    together = "certificate kubernetes"
    assert corrected("certficate kuberentes") == [
        ("certficate", "certificate", together),
        ("kuberentes", "kubernetes", together),
    ]


def test_a_query_that_finds_some_of_its_words_is_corrected_too(corrected):
    assert corrected("replica datbase") == [("datbase", "database", "replica database")]


def test_nothing_is_suggested_that_would_find_nothing(corrected):
    assert corrected("certficate lagged") == []
    assert corrected("certficate severity:sev3") == []
    assert corrected("certficate", filters={"severity": ["sev3"]}) == []


@pytest.mark.parametrize(
    "query", ["database wibble", '"databse"', "-databse", "wibble", "node", "nod3s databse9", "certificate lagged",
              "predatabase", "datable"]
)  # fmt: skip
def test_words_that_are_there_or_like_no_other_or_not_searched_as_words_are_left_alone(corrected, query):
    assert corrected(query) == []


def test_words_of_hidden_incidents_are_neither_suggested_nor_taken_as_known(corrected):
    assert corrected("wombatts") == corrected("quoka") == []
    assert corrected("quoka", by="author") == [("quoka", "quokka", "quokka")]


def test_the_page_and_the_api_show_it(corrected, client):
    reason = "No incident that you can see contains the word certficate."
    page = client.get("/search", {"q": "certficate"}).content.decode()
    assert reason in page
    assert '<a href="/search?q=certificate">certificate</a>?' in page
    (correction,) = client.get("/api/v1/search", {"q": "certficate"}).json()["corrections"]
    assert correction == {
        "found": "certficate",
        "suggestion": "certificate",
        "query": "certificate",
        "reason": reason,
    }
