"""Search through the API, and the names in the filters of searches and lists."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from incidents.actions import organizations
from incidents.actions.incidents import change_incident
from incidents.models import Organization
from kb.patterns.models import Pattern
from kb.search import relay
from tests.api.conftest import codes, fields

RESULT = {
    "ref",
    "id",
    "external_id",
    "title",
    "url",
    "organization",
    "origin",
    "severity",
    "status",
    "visibility",
    "started_at",
    "started_precision",
    "duration_seconds",
    "score",
    "highlights",
    "why",
    "patterns",
    "suggested_patterns",
    "source_urls",
}


def test_search_responses_have_the_documented_shape(api, published):
    incident = published(severity="sev2", started="2026-03-03T14:03Z", resolved="2026-03-03T15:15Z")
    relay.drain()
    found = api("outsider").get("search?q=resize+cache&severity=sev2").json()
    assert set(found) == {
        "query",
        "engine",
        "degraded",
        "took_ms",
        "total",
        "results",
        "facets",
        "next",
        "corrections",
        "notices",
    }
    assert (found["query"], found["total"], found["next"], found["degraded"]) == ("resize cache", 1, None, False)
    (result,) = found["results"]
    assert set(result) == RESULT
    assert (result["ref"], result["duration_seconds"]) == (incident.ref, 4320)
    assert (result["started_at"], result["started_precision"]) == ("2026-03-03T14:03:00+00:00", "minute")
    assert api("outsider").get(result["url"]).json()["id"] == result["id"]
    assert any("<mark>" in part["html"] for part in result["highlights"])
    assert found["facets"]["organization"] == [{"value": "Acme", "count": 1}]


@pytest.mark.parametrize("organization", ["Wallaroo Works", "wallaroo-works", "WALLAROO WORKS", "Wallaroo-Works"])
def test_search_accepts_an_organization_by_slug_or_name_and_returns_its_name(api, published, organization):
    published(organization="Wallaroo Works", title="Theirs")
    published(title="Ours")
    relay.drain()
    found = api("outsider").get(f"search?organization={quote(organization)}").json()
    assert [result["title"] for result in found["results"]] == ["Theirs"]
    assert found["facets"]["organization"] == [
        {"value": "Acme", "count": 1},
        {"value": "Wallaroo Works", "count": 1},
    ]
    both = f"search?organization={quote(organization)}&organization=Acme&organization=wallaroo-works"
    assert api("outsider").get(both).json()["total"] == 2


def test_a_name_wins_over_the_slug_of_a_renamed_organization(api, cast, published):
    published(organization="Kettle", title="Of the older")
    older = Organization.objects.get(name="Kettle")
    organizations.change_organization(actor=cast.viewer("admin"), organization_id=older.pk, values={"name": "Teapot"})
    published(organization="Kettle", title="Of the newer")
    relay.drain()
    for asked, expected in (("Kettle", "Of the newer"), ("kettle", "Of the newer"), ("kettle-2", "Of the newer")):
        found = api("outsider").get(f"search?organization={asked}").json()
        assert [result["title"] for result in found["results"]] == [expected], asked
        listed = api("outsider").get(f"incidents?organization={asked}").json()["results"]
        assert [incident["title"] for incident in listed] == [expected], asked


@pytest.mark.parametrize("organization", ["Wallaroo Works", "wallaroo-works", "WALLAROO WORKS"])
def test_search_reveals_nothing_about_an_organization_with_only_hidden_incidents(api, published, organization):
    published(organization="Wallaroo Works", visibility="team")
    relay.drain()
    ask = f"search?organization={quote(organization)}"
    there, nowhere = api("outsider").get(ask).json(), api("outsider").get("search?organization=nowhere").json()
    assert there["facets"]["organization"] == [{"value": organization, "count": 0}]
    assert there["notices"] == [f"There is no organization {organization}."]
    nowhere["facets"]["organization"][0]["value"] = organization
    nowhere["notices"] = [f"There is no organization {organization}."]
    assert {**there, "took_ms": 0} == {**nowhere, "took_ms": 0}


def test_a_match_in_the_title_alone_is_highlighted(api, published):
    published("Zebras <on> the line")
    relay.drain()
    (result,) = api("outsider").get("search?q=zebra").json()["results"]
    assert result["highlights"] == [{"section": "title", "html": "<mark>Zebras</mark> &lt;on&gt; the line"}]


def test_search_has_its_own_cursors_and_absolute_urls(api, published, settings):
    for number in range(3):
        published(f"Cache {number}")
    relay.drain()
    first = api("author").get("search?q=cache&page_size=2&sort=newest").json()
    second = api("author").get(first["next"]).json()
    assert first["next"].startswith(f"{settings.BASE_URL}/api/v1/search?")
    assert len({r["ref"] for r in first["results"] + second["results"]}) == first["total"] == 3
    for other in (
        first["next"].replace("q=cache", "q=resize"),
        first["next"].replace("sort=newest", "sort=oldest"),
        f"{first['next']}&severity=unknown",
    ):
        refused = api("author").get(other)
        assert (refused.status_code, fields(refused)) == (400, {"cursor"})


@pytest.mark.parametrize(
    ("query", "named"),
    [("sort=best", "sort"), ("severity=sev9", "severity"), ("cursor=x", "cursor"), ("page_size=101", "page_size")],
)
def test_search_names_an_invalid_parameter(api, query, named):
    assert fields(api("author").get(f"search?{query}")) == {named}


@pytest.mark.parametrize(
    "query", ['"unbalanced', "the of and", "*", "a " * 500, "(((", "x" * 10_000, "severty:1", "\\' OR 1=1 --"]
)
def test_search_accepts_any_text(api, query):
    assert api("author").get(f"search?{urlencode({'q': query})}").status_code == 200


def test_an_incident_with_narrowed_visibility_leaves_search_at_once(api, cast, published):
    incident = published(visibility="public")
    relay.drain()
    assert api("anonymous").get("search?q=cache").json()["total"] == 1
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    hidden = api("anonymous").get("search?q=cache").json()
    assert (hidden["total"], hidden["results"], hidden["facets"]["organization"]) == (0, [], [])


@pytest.mark.parametrize("service", ["wallaroo-api", '"Wallaroo API"'])
def test_a_search_takes_the_slug_of_a_service_or_its_name(api, published, service):
    published("Theirs", services=["Wallaroo API"])
    published("Ours")
    relay.drain()
    found = api("outsider").get(f"search?q={quote(f'service:{service}')}").json()
    assert [result["title"] for result in found["results"]] == ["Theirs"]


@pytest.mark.parametrize("path", ["incidents", "services"])
def test_an_empty_list_says_which_names_in_its_filters_are_unknown(api, published, path):
    published(organization="Wallaroo Works", services=["Order Book"], visibility="team")
    ask = f"{path}?organization=walaroo-works&team=chekout&organization=zeppelin"
    assert api("reader").get(ask).json() == {
        "results": [],
        "next": None,
        "notices": [
            "There is no organization walaroo-works. Did you mean Wallaroo Works?",
            "There is no organization zeppelin.",
            "There is no team chekout. Did you mean Checkout?",
        ],
    }
    # Whoever cannot see them hears the same about names that exist and names that do not.
    hidden, missing = (
        api("anonymous").get(f"{path}?organization={organization}&team={team}").json()["notices"]
        for organization, team in (("wallaroo-works", "checkout"), ("nowhere", "nobody"))
    )
    assert hidden == ["There is no organization wallaroo-works.", "There is no team checkout."]
    assert missing == ["There is no organization nowhere.", "There is no team nobody."]


def test_a_list_has_no_notices_when_it_found_something_or_all_names_are_known(api, published):
    published(services=["Order Book"])
    for query in ("team=CHECKOUT&team=nowhere", "service=order%20book", "service=order-book", "team=payments", ""):
        assert api("author").get(f"incidents?{query}").json()["notices"] == []
    assert api("author").get("incidents?service=ordr%20book").json()["notices"] == [
        "There is no service ordr book. Did you mean Order Book?"
    ]


def test_a_search_says_which_names_in_its_filters_are_unknown(api, published):
    Pattern.objects.create(slug="retry-storm", name="Retry storm", family="load", counts="Retries.")
    published(organization="Wallaroo Works")
    relay.drain()
    for query, notices in (
        ("organization=walaroo", ["There is no organization walaroo."]),
        ("organization=wallaroo", ["There is no organization wallaroo. Did you mean Wallaroo Works?"]),
        ("pattern=Retry%20storm", ["There is no pattern Retry storm. Did you mean retry-storm?"]),
        ("organization=ACME&pattern=retry-storm", []),
        ("organization=wallaroo-works&organization=wallaroo", []),
    ):
        assert api("author").get(f"search?{query}").json()["notices"] == notices, query


@pytest.mark.parametrize(
    "path", ["incidents?organization=", "incidents?service=x&service=%20", "services?team=", "search?pattern="]
)
def test_a_blank_name_in_a_filter_is_refused(api, path):
    refused = api("author").get(path)
    assert codes(refused) == (400, "invalid")
    assert refused.json()["errors"][0]["message"] == "Enter a slug or a name."
