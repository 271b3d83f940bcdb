"""Reopened incidents in lists: readers of the published text find them by that text, and by nothing in the draft."""

from __future__ import annotations

import pytest

from incidents.actions.incidents import change_incident
from incidents.actions.lifecycle import reopen
from tests.conftest import kept_cast, publish_one

pytestmark = pytest.mark.django_db
cast = kept_cast


@pytest.fixture(scope="module")
def reopened(cast):
    """An incident published about Globex's Ledger, whose draft is about SecretCorp's Nimbus."""
    incident = publish_one(cast, organization="Globex", services=["Ledger"], visibility="public")
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    facts = {"organization": "SecretCorp", "services": ["Nimbus"]}
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts=facts)
    return incident


READS_PUBLISHED, READS_DRAFT = ("anonymous", "outsider", "reader"), ("author", "lead", "admin")


@pytest.mark.parametrize("name", READS_PUBLISHED + READS_DRAFT)
def test_a_list_entry_shows_the_text_that_the_caller_reads(api, reopened, name):
    (line,) = api(name).get("incidents").json()["results"]
    expected = ("Globex", ["Ledger"]) if name in READS_PUBLISHED else ("SecretCorp", ["Nimbus"])
    assert (line["organization"]["name"], line["services"]) == expected


@pytest.mark.parametrize("name", READS_PUBLISHED + READS_DRAFT)
@pytest.mark.parametrize(
    ("by_published", "by_draft"),
    [("organization=globex", "organization=secretcorp"), ("service=Ledger", "service=nimbus")],
)
def test_filters_match_the_text_that_the_caller_reads(api, reopened, name, by_published, by_draft):
    found = [len(api(name).get(f"incidents?{query}").json()["results"]) for query in (by_published, by_draft)]
    assert found == ([1, 0] if name in READS_PUBLISHED else [0, 1])


@pytest.mark.parametrize("name", READS_PUBLISHED)
def test_lists_of_organizations_and_services_reveal_nothing_about_the_draft(api, reopened, name):
    organizations = {row["name"]: row["incidents"] for row in api(name).get("organizations").json()["results"]}
    assert organizations == {"Acme": 0, "Globex": 1}
    assert [row["name"] for row in api(name).get("services").json()["results"]] == ["Ledger"]
    assert api(name).get("organizations/secretcorp").status_code == 404


def test_pages_reveal_nothing_about_the_draft(client, reopened):
    assert "SecretCorp" not in client.get("/organizations").content.decode()
    assert client.get("/organizations/secretcorp").status_code == 404
    assert client.get("/organizations/globex").status_code == 200


def test_a_link_to_it_names_the_published_organization(api, cast, reopened, published):
    other = published("Other", visibility="public")
    api("author").post(f"incidents/{other.ref}/links", {"kind": "related", "to": reopened.ref})
    for name, organization in (("anonymous", "Globex"), ("author", "SecretCorp")):
        (link,) = api(name).get(f"incidents/{other.ref}").json()["links"]
        assert link["incident"]["organization"] == organization
