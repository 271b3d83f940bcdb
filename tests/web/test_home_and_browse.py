"""The start page and browsing: each user's open work, and counts that reveal nothing hidden."""

from __future__ import annotations

import pytest

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.organizations import change_organization
from incidents.models import Organization
from kb.patterns.models import Pattern, PatternStatus, Tag, TagSource, TagState
from tests.conftest import Cast, fill
from tests.web.conftest import famous, parsed


def make_pattern(slug="retry-storm", family="load", **more):
    return Pattern.objects.create(
        slug=slug,
        name=slug.replace("-", " ").capitalize(),
        family=family,
        counts="Retries multiplied the load.",
        does_not_count="Traffic of real users.",
        **more,
    )


def tag(incident, pattern, state=TagState.CONFIRMED):
    Tag.objects.create(incident=incident, pattern=pattern, source=TagSource.CURATOR, state=state)


# --- The start page --------------------------------------------------------------------------------
def test_strangers_see_an_introduction_and_what_is_public(cast, published, indexed, browser):
    published("Cache went cold", visibility="public")
    published("Hidden", visibility="internal")
    famous()
    indexed()
    page = parsed(browser("anonymous").get("/"))
    assert page.all("h1")[0].text == "Has this happened before?"
    assert "Cache went cold" in page.text
    assert "One rule used every CPU" in page.text
    assert "Hidden" not in page.text
    assert "2 incidents" in page.text
    assert "Waiting for you" not in page.text


def test_reviews_and_drafts_are_listed_for_users_who_can_work_on_them(cast, draft, published, browser):
    asked, begun = draft("Asked for review"), draft("Just begun")
    fill(cast, asked)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=asked.pk, reviewers=["reviewer@acme.example"])
    reopened = published("Reopened", visibility="public")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=reopened.pk)
    waits = {name: waiting(browser(name)) for name in Cast.NAMES}
    assert waits["author"] == waits["lead"] == {"Asked for review", "Just begun", "Reopened"}
    assert waits["reviewer"] == {"Asked for review"}
    assert waits["reader"] == waits["outsider"] == waits["admin"] == waits["anonymous"] == set()
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=asked.pk, approve=True)
    assert waiting(browser("reviewer")) == set()
    assert begun.pk


def test_a_reviewer_of_the_owning_team_is_reminded_once_until_she_decides(cast, draft, browser):
    asked = draft("Asked for review")
    fill(cast, asked)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=asked.pk, reviewers=["lead@acme.example"])
    page = parsed(browser("lead").get("/"))
    card = next(section for section in page.all("section") if "waiting" in section.attributes.get("class", ""))
    assert card.text.count("Asked for review") == 1
    assert "review requested by" in card.text
    lifecycle.review(actor=cast.viewer("lead"), incident_id=asked.pk, approve=True)
    assert waiting(browser("lead")) == set()
    assert waiting(browser("author")) == {"Asked for review"}
    # A draft is open work for the whole team again.
    lifecycle.withdraw(actor=cast.viewer("author"), incident_id=asked.pk)
    assert waiting(browser("lead")) == {"Asked for review"}


def waiting(client):
    page = parsed(client.get("/"))
    card = next((section for section in page.all("section") if "waiting" in section.attributes.get("class", "")), None)
    if card is None:
        return set()
    return {title for title in ("Asked for review", "Just begun", "Reopened", "Old title") if title in card.text}


def test_until_something_is_published_the_start_page_explains_how_to_begin(cast, published, indexed, browser):
    assert "We have not published a postmortem yet" in parsed(browser("author").get("/")).text
    assert "Only team authors can write postmortems" in parsed(browser("reader").get("/")).text
    assert "Invite colleagues" in parsed(browser("lead").get("/")).text
    assert "Invite colleagues" not in parsed(browser("author").get("/")).text
    assert "We have not published" not in parsed(browser("anonymous").get("/")).text
    published("One", visibility="internal")
    indexed()
    assert "We have not published a postmortem yet" not in parsed(browser("author").get("/")).text


# --- Famous outages --------------------------------------------------------------------------------
def test_famous_outages_are_browsed_by_organization_year_pattern_and_family(cast, published, indexed, browser):
    tag(famous(), make_pattern())
    famous("Power was lost", "GitHub", started="2016-01-28T00:00Z")
    published("Ours", visibility="public")
    indexed()
    client = browser("anonymous")
    page = parsed(client.get("/outages"))
    assert "Ours" not in page.text
    ways = {link.text: link.attributes["href"] for link in page.all("a") if "origin=famous" in link.attributes["href"]}
    assert {"Cloudflare", "GitHub", "2019", "2016", "Retry storm", "Demand and capacity"} <= set(ways)
    for label in ("Cloudflare", "2019", "Retry storm", "Demand and capacity"):
        found = parsed(client.get(ways[label]))
        assert "One rule used every CPU" in found.text
        assert "Power was lost" not in found.text


# --- Organizations ---------------------------------------------------------------------------------
def test_an_organization_counts_only_incidents_the_viewer_can_see(cast, published, draft, indexed, browser):
    published("Public one", visibility="public", organization="Square")
    published("Team one", visibility="team", organization="Square")
    draft("Draft one", organization="Square")
    indexed()
    for name, number in {"anonymous": "1 incident", "outsider": "1 incident", "reader": "3 incidents"}.items():
        client = browser(name)
        row = next(li.text for li in parsed(client.get("/organizations")).all("li") if li.text.startswith("Square"))
        assert row.split(" ", 1)[1] == number
        assert number in parsed(client.get("/organizations/square")).text


def test_an_organization_with_only_hidden_incidents_is_a_404(cast, draft, indexed, browser):
    draft("Draft one", organization="Square")
    indexed()
    for name, status in {"anonymous": 404, "outsider": 404, "reader": 200}.items():
        assert browser(name).get("/organizations/square").status_code == status
        assert ("Square" in parsed(browser(name).get("/organizations")).text) == (status == 200)
    assert browser("anonymous").get("/organizations/nobody").status_code == 404


def test_an_organization_just_renamed_says_that_its_list_is_being_updated(cast, published, indexed, browser):
    published("Public one", visibility="public", organization="Square")
    indexed()
    square = Organization.objects.get(name="Square")
    client, words = browser("anonymous"), "The list of its incidents is being updated."
    assert words not in parsed(client.get("/organizations/square")).text
    change_organization(actor=cast.viewer("admin"), organization_id=square.pk, values={"name": "Block"})
    page = parsed(client.get("/organizations/square")).text
    assert words in page
    assert "No incidents" not in page
    assert "Nothing found" not in page
    indexed()
    page = parsed(client.get("/organizations/square")).text
    assert "Public one" in page
    assert words not in page


def test_an_organization_with_only_archived_incidents_has_a_page_and_counts_none(cast, published, indexed, browser):
    incident = published("Long ago", visibility="public", organization="Square")
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    indexed()
    client = browser("anonymous")
    assert 'href="/organizations/square"' in client.get(f"/incidents/{incident.ref}").content.decode()
    page = parsed(client.get("/organizations/square"))
    assert "No incidents" in page.text
    assert "Only archived incidents here" in page.text
    # Links to searches that leave out archived incidents would find nothing, so they are not offered.
    assert {"Search without filters", "Filter these incidents"}.isdisjoint(link.text for link in page.all("a"))
    way = next(link.attributes["href"] for link in page.all("a") if link.text == "Show archived incidents")
    assert "Long ago" in parsed(client.get(way)).text
    assert "Square" not in parsed(client.get("/organizations")).text
    assert client.get("/api/v1/organizations/square").json()["incidents"] == 0


def test_a_reopened_postmortem_counts_under_the_organization_its_readers_see(cast, published, indexed, browser):
    incident = published("It came back", visibility="public", organization="Square")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"organization": "Zed"})
    indexed()
    for name in Cast.NAMES:
        client = browser(name)
        rows = [li.text for li in parsed(client.get("/organizations")).all("li") if "incident" in li.text]
        assert rows == ["Square 1 incident"], name
        assert "It came back" in parsed(client.get("/organizations/square")).text, name
        # Viewers who see the new name on the working copy can open its page.
        expected = 200 if name in ("author", "lead", "admin") else 404
        assert client.get("/organizations/zed").status_code == expected, name


def test_the_home_organization_has_a_page_before_its_first_incident(cast, browser):
    response = browser("anonymous").get("/organizations/acme")
    assert response.status_code == 200
    assert "Nothing found among the incidents you can see" in parsed(response).text


# --- Patterns --------------------------------------------------------------------------------------
def test_a_pattern_counts_only_incidents_the_viewer_can_see_and_tags_in_force(cast, published, indexed, browser):
    pattern = make_pattern()
    tag(published("Public one", visibility="public"), pattern)
    tag(published("Team one", visibility="team"), pattern, TagState.AUTOMATIC)
    tag(published("Only suggested", visibility="public"), pattern, TagState.SUGGESTED)
    tag(published("Rejected", visibility="public"), pattern, TagState.REJECTED)
    archived = published("Archived", visibility="public")
    tag(archived, pattern)
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=archived.pk)
    indexed()
    for name, titles in {
        "anonymous": {"Public one"},
        "outsider": {"Public one"},
        "author": {"Public one", "Team one"},
    }.items():
        client = browser(name)
        row = next(li.text for li in parsed(client.get("/patterns")).all("li") if li.text.startswith("Retry storm"))
        assert row.split()[2:] == [str(len(titles)), "incident" if len(titles) == 1 else "incidents"]
        page = parsed(client.get("/patterns/retry-storm"))
        assert {
            title
            for title in ("Public one", "Team one", "Only suggested", "Rejected", "Archived")
            if title in page.text
        } == titles


def test_a_pattern_says_what_counts_and_what_does_not(db, browser):
    make_pattern(advice="Add **jitter**.")
    page = parsed(browser("anonymous").get("/patterns/retry-storm"))
    assert [(dt.text, dd.text.strip()) for dt, dd in zip(page.all("dt")[:3], page.all("dd")[:3], strict=True)] == [
        ("What counts", "Retries multiplied the load."),
        ("What does not", "Traffic of real users."),
        ("What helps", "Add jitter."),
    ]


def test_a_merged_pattern_redirects_to_the_one_it_was_merged_into(db, browser):
    kept = make_pattern()
    make_pattern("retries", status=PatternStatus.MERGED, merged_into=kept)
    response = browser("anonymous").get("/patterns/retries")
    assert (response.status_code, response["Location"]) == (302, "/patterns/retry-storm")
    assert "Retries" not in {link.text for link in parsed(browser("anonymous").get("/patterns")).all("a")}
    assert browser("anonymous").get("/patterns/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/outages", "/organizations/acme", "/patterns/retry-storm"])
def test_an_invalid_cursor_shows_the_first_page(cast, browser, path):
    make_pattern()
    first, lost = (browser("anonymous").get(f"{path}{cursor}") for cursor in ("", "?cursor=tampered"))
    assert lost.status_code == 200
    said = "That page of results is no longer available. This is the first page."
    words, told = (" ".join(parsed(page).text.split()) for page in (first, lost))
    assert told.replace(f"{said} ", "", 1) == words != told
