"""What is suggested for the name of an organization, pattern, team or service that is not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from incidents.actions.organizations import create_service
from incidents.models import Incident
from kb.patterns.models import Pattern
from kb.search import relay
from kb.search.query import parse
from kb.search.service import SearchRequest, search
from tests.conftest import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def suggestions(cast: Cast, published: Callable[..., Incident]) -> Callable[..., list[str]]:
    """suggestions(query, by=name): after a public outage of Amazon Web Services and a team's own one at Initech."""
    retry_storm = Pattern.objects.create(slug="retry-storm", name="Retry storm", family="load", counts="Retries.")
    Pattern.objects.create(
        slug="flood-of-calls", name="Flood of calls", family="load", counts="Calls.", merged_into=retry_storm
    )
    create_service(actor=cast.viewer("admin"), name="Basket API", organization=cast.home, team=cast.checkout)
    published("Theirs", visibility="public", organization="Amazon Web Services")
    published("Hidden", visibility="team", organization="Initech")
    relay.drain()

    def of(query: str, by: str = "anonymous") -> list[str]:
        page = search(cast.viewer(by), SearchRequest(q=query))
        return [one.suggestion for one in page.corrections]

    return of


@pytest.mark.parametrize(
    ("query", "suggestion"),
    [
        ("org:aws", 'org:"Amazon Web Services"'),
        ("org:amazon", 'org:"Amazon Web Services"'),
        ('org:"amazon web servces"', 'org:"Amazon Web Services"'),
        ("org:amazn-web-services", 'org:"Amazon Web Services"'),
        ("pattern:retry", "pattern:retry-storm"),
        ("pattern:retry-strom", "pattern:retry-storm"),
        ("pattern:flood-of-cals", "pattern:retry-storm"),
    ],
)
def test_the_name_that_was_probably_meant_is_suggested_to_everybody(suggestions, query, suggestion):
    assert suggestions(query) == [suggestion]


@pytest.mark.parametrize(
    ("query", "suggestion"), [("team:chekout", "team:Checkout"), ("service:basket", 'service:"Basket API"')]
)
def test_teams_and_services_are_suggested_to_colleagues_only(suggestions, query, suggestion):
    assert suggestions(query, by="outsider") == [suggestion]
    assert suggestions(query) == []


def test_a_name_that_is_like_no_other_is_reported(cast, suggestions):
    found = search(cast.viewer("anonymous"), SearchRequest(q="org:zeppelin service:basket-api"))
    assert found.corrections == ()
    assert found.notices == ("There is no organization zeppelin.", "There is no service basket-api.")
    assert search(cast.viewer("outsider"), SearchRequest(q="service:basket-api")).notices == ()


@pytest.mark.parametrize(
    ("query", "suggestion"),
    [
        ("theirs -org:aws", ['org:"Amazon Web Services"']),
        ("theirs org:amazon-web-services,aws", ['org:amazon-web-services,"Amazon Web Services"']),
        ("theirs -org:acme", []),
        ("theirs OR org:aws", []),
    ],
)
def test_a_query_that_finds_something_says_which_excluded_or_further_names_are_unknown(suggestions, query, suggestion):
    assert suggestions(query) == suggestion


def test_a_hidden_name_is_never_suggested(suggestions):
    assert suggestions("org:initec", by="author") == ["org:Initech"]
    assert suggestions("org:initec", by="outsider") == suggestions("org:initech", by="outsider") == []


@pytest.mark.parametrize("query", ["org:amazon-web-services zeppelin", "org:zeppelin", "severity:sev9 zeppelin"])
def test_nothing_is_suggested_for_a_name_that_is_there_or_like_no_other(suggestions, query):
    assert suggestions(query) == []


def test_a_name_that_cannot_be_quoted_is_known_by_its_slug(cast, published, suggestions):
    published("Quoted", visibility="public", organization='Wallaroo "Works"')
    relay.drain()
    assert suggestions("org:wallaroo") == ["org:wallaroo-works"]
    assert search(cast.viewer("anonymous"), SearchRequest(q="org:wallaroo-works zeppelin")).notices == ()


def test_nothing_is_suggested_while_something_is_found(suggestions):
    assert suggestions("org:aws OR theirs") == []
    assert suggestions("org:aws OR org:initech", by="author") == []


def test_the_corrected_query_keeps_everything_else(cast, suggestions):
    query = '"a org:aws b" (-zeppelin org:aws,acme)'
    page = search(cast.viewer("anonymous"), SearchRequest(q=query))
    (correction,) = page.corrections
    assert correction.query == '"a org:aws b" (-zeppelin org:"Amazon Web Services",acme)'
    assert correction.reason == "There is no organization aws."
    assert parse(correction.query).filters[0].values == ("amazon web services", "acme")


def test_a_long_list_of_names_is_answered_with_few_suggestions(suggestions):
    names = ",".join(f"amazn-{number}-services" for number in range(90))
    assert len(suggestions(f"org:{names}")) <= 15


@pytest.mark.parametrize(
    ("query", "suggestion"),
    [
        ("retry storm", "pattern:retry-storm"),
        ("Retry storms", "pattern:retry-storm"),
        ("cold caches", "pattern:cold-cache"),
        ("thundering herd or cold cache", "pattern:cold-cache"),
        ("retry", None),
        ("retry storm dns", None),
        ("retry storm severity:sev1", None),
        ("flood of calls", None),
        ("-retry storm", None),
        ("retry OR storm", None),
    ],
)
def test_words_that_are_the_name_of_a_pattern_lead_to_it(suggestions, query, suggestion):
    Pattern.objects.create(slug="cold-cache", name="Thundering herd or cold cache", family="load", counts="Misses.")
    assert suggestions(query) == ([suggestion] if suggestion else [])
