"""Every route of the writing pages, by every kind of user: hidden incidents are 404, readable ones stay unchanged."""

from __future__ import annotations

import uuid
from copy import copy

import pytest
from django.test import Client

from incidents.actions import lifecycle
from incidents.models import Incident
from tests.conftest import Cast, begin, fill, kept_cast, publish_one
from tests.routes import every_route
from tests.web.conftest import famous
from tests.web.writing.conftest import text_of

ROW = uuid.UUID("8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10")
READS = {"edit", "review", "publish", "delete", "upkeep", "history", "compare"}
STEPS = {
    "save-facts",
    "save-section",
    "preview-markdown",
    "paste-timeline",
    "save-paste",
    "add-link",
    "remove-link",
    "add-row",
    "put-back-row",
    "save-row",
    "move-row",
    "remove-row",
    "submit",
    "withdraw",
    "decide",
    "publish-now",
    "reopen",
    "archive",
    "restore",
    "delete-now",
    "save-upkeep",
}
# Pages that everyone who can read the incident can read too.
FOR_READERS = {"history", "compare"}


pytestmark = pytest.mark.django_db
cast = kept_cast


@pytest.fixture(scope="module")
def hidden(cast: Cast) -> Incident:
    """A draft."""
    return begin(cast)


@pytest.fixture(scope="module")
def shown(cast: Cast) -> Incident:
    """A published incident that everyone can read."""
    return publish_one(cast, visibility="public")


@pytest.fixture(scope="module")
def reopened(cast: Cast) -> Incident:
    return lifecycle.reopen(actor=cast.viewer("author"), incident_id=publish_one(cast, visibility="internal").pk)


def nothing(incident: Incident) -> Incident:
    """A copy of the incident whose id does not exist."""
    missing = copy(incident)
    missing.pk = 99_999
    return missing


def address(name, incident):
    route = next(route.path for route in every_route() if route.is_writing and route.pattern.name == name)
    for part, value in (
        ("<str:reference>", incident.ref),
        ("<slug:key>", "summary"),
        ("<slug:kind>", "lessons"),
        ("<uuid:row_id>", str(ROW)),
        ("<uuid:link_id>", str(ROW)),
    ):
        route = route.replace(part, value)
    return route


def snapshot():
    return list(Incident.objects.order_by("pk").values_list("pk", "version", "status", "visibility", "deleted_at"))


def test_every_writing_route_is_tested_here():
    assert {route.pattern.name for route in every_route() if route.is_writing} == READS | STEPS | {"new"}


@pytest.mark.parametrize("name", sorted(READS))
@pytest.mark.parametrize("person", ["outsider", "reviewer"])
def test_a_draft_is_a_404_for_other_teams(hidden, browser, name, person):
    refused, missing = (browser(person).get(address(name, incident)) for incident in (hidden, nothing(hidden)))
    assert (refused.status_code, missing.status_code) == (404, 404)
    assert text_of(refused) == text_of(missing)


@pytest.mark.parametrize("name", sorted(STEPS))
@pytest.mark.parametrize("person", ["outsider", "reviewer"])
def test_other_teams_cannot_change_a_draft_and_get_a_404(hidden, browser, name, person):
    before = snapshot()
    assert browser(person).post(address(name, hidden), {"version": "1"}).status_code == 404
    assert snapshot() == before


@pytest.mark.parametrize("name", sorted(READS | {"new"}))
def test_strangers_are_sent_to_sign_in_whether_or_not_the_incident_exists(hidden, browser, name):
    response = browser("anonymous").get(address(name, hidden))
    if name in FOR_READERS:
        assert response.status_code == 404
        return
    assert response.status_code == 302
    assert response["Location"] == f"/sign-in?next={address(name, hidden)}"
    assert browser("anonymous").get(address(name, nothing(hidden))).status_code == 302


@pytest.mark.parametrize("name", sorted(STEPS))
def test_strangers_change_nothing(hidden, shown, browser, name):
    incident = shown if name in ("reopen", "archive", "save-upkeep") else hidden
    before = snapshot()
    assert browser("anonymous").post(address(name, incident), {"version": "1"}).status_code == 401
    assert snapshot() == before


@pytest.mark.parametrize("name", sorted(STEPS))
@pytest.mark.parametrize("person", ["reader", "outsider"])
def test_readers_cannot_change_anything(reopened, browser, name, person):
    before = snapshot()
    sent = {
        "version": "1",
        "confirm": reopened.ref,
        "visibility": "public",
        "reviewers": "lead@acme.example",
        "keep": "0",
        "at": "14:03",
        "kind": "other",
        "text": "x",
    }
    response = browser(person).post(address(name, reopened), sent)
    assert response.status_code in (400, 403), response.status_code
    assert snapshot() == before


@pytest.mark.parametrize("name", sorted(READS - FOR_READERS))
def test_writing_pages_are_forbidden_for_readers(shown, browser, name):
    response = browser("outsider").get(address(name, shown))
    assert response.status_code == 403
    assert "You are not allowed to do this" in text_of(response)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_changes_need_a_post(hidden, browser, name):
    before = snapshot()
    response = browser("admin").get(address(name, hidden))
    assert response.status_code == 405
    # A rejected form leaves this address in the address bar, where a reload can request it.
    assert "It only accepts submitted forms. Opening it changed nothing." in text_of(response)
    assert f'href="/incidents/{hidden.ref}"' in response.content.decode()
    assert snapshot() == before


@pytest.mark.parametrize("name", ["archive", "restore", "delete-now"])
def test_only_leads_and_admins_can_archive_and_delete(cast, published, browser, name):
    incident = published()
    if name == "restore":
        lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    before = snapshot()
    assert browser("author").post(address(name, incident), {"confirm": incident.ref}).status_code == 403
    assert snapshot() == before
    assert browser("lead").post(address(name, incident), {"confirm": incident.ref}).status_code == 302


def test_a_form_from_another_site_is_rejected(cast, draft):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    incident = draft()
    before = snapshot()
    for name in sorted(STEPS):
        assert client.post(address(name, incident), {"version": "1"}).status_code == 403
    assert snapshot() == before


def test_a_reviewer_reads_but_does_not_write(cast, draft, browser):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    client = browser("reviewer")
    assert client.get(address("review", incident)).status_code == 200
    assert client.get(address("edit", incident)).status_code == 403
    assert client.post(address("save-section", incident), {"version": "2", "body": "x"}).status_code == 403


def test_no_one_can_edit_famous_outages(cast, browser):
    incident = famous()
    for person in ("author", "admin"):
        assert browser(person).get(address("edit", incident)).status_code == 403
        assert browser(person).post(address("reopen", incident)).status_code == 403


def test_a_new_postmortem_needs_a_team_to_write_for(browser):
    before = snapshot()
    assert browser("reader").get("/incidents/new").status_code == 403
    assert browser("reader").post("/incidents/new", {"title": "x", "team": "checkout"}).status_code == 403
    assert snapshot() == before


def test_pages_with_versions_are_not_cached_so_that_going_back_reloads_them(browser, draft):
    incident = draft()
    author = browser("author")
    for page in ("edit", "review", "publish"):
        assert "no-store" in author.get(f"/incidents/{incident.ref}/{page}")["Cache-Control"], page
