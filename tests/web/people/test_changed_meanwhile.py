"""Concurrent changes to a team, organization or account: nothing saved is overwritten without being shown first."""

from __future__ import annotations

import pytest

from incidents.actions.organizations import change_team
from incidents.models import AuditEntry, Organization, OutboxEntry, Team, User
from kb.web.people import teams
from tests.web.conftest import parsed

TEAM, ORGANIZATION, ACCOUNT = "/teams/checkout/change", "/organizations/acme/edit", "/account"
FIELDS = {
    TEAM: ("name", "description"),
    ORGANIZATION: ("name", "website", "sector"),
    ACCOUNT: ("name", "time_zone"),
}


def filled(response):
    """What a browser would send for the page's form unchanged: its fields and the values they were opened with."""
    page, sent = parsed(response), {}
    for one in page.all("input"):
        sent[one.attributes.get("name", "")] = one.attributes.get("value", "")
    for one in page.all("option"):
        if "selected" in one.attributes:
            sent["time_zone"] = one.attributes["value"]
    known = FIELDS[response.request["PATH_INFO"]]
    return {name: value for name, value in sent.items() if name.removeprefix("base-") in known}


def opened(browser, path):
    return filled(browser("admin").get(path))


def saved(cast, path):
    model, pk = {TEAM: (Team, cast.checkout.pk), ORGANIZATION: (Organization, cast.home.pk)}.get(
        path, (User, cast.admin.pk)
    )
    return model.objects.values(*FIELDS[path]).get(pk=pk)


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        (TEAM, {"name": "Till"}, {"description": "Pays"}),
        (ORGANIZATION, {"name": "Acme Corp"}, {"website": "https://acme.example"}),
        (ACCOUNT, {"name": "Ada"}, {"time_zone": "Asia/Tokyo"}),
    ],
)
def test_concurrent_changes_to_different_fields_are_both_kept(browser, cast, path, one, other):
    first, second = opened(browser, path), opened(browser, path)
    for form, typed in ((first, one), (second, other)):
        assert browser("admin").post(path, {**form, **typed}).status_code == 302
    assert saved(cast, path).items() >= {**one, **other}.items()


@pytest.mark.parametrize(
    ("path", "field", "mine", "theirs", "told"),
    [
        (TEAM, "name", "Till", "Cash desk", "Cash desk"),
        (TEAM, "description", "Pays", "Takes money", "Takes money"),
        (ORGANIZATION, "name", "Acme Corp", "Acme Inc", "Acme Inc"),
        (ACCOUNT, "time_zone", "Asia/Tokyo", "America/New_York", "America/New York"),
    ],
)
def test_a_concurrent_change_to_the_same_field_shows_both_values_before_it_is_saved(
    browser, cast, path, field, mine, theirs, told
):
    form = opened(browser, path)
    browser("admin").post(path, {**opened(browser, path), field: theirs})
    refused = browser("admin").post(path, {**form, field: mine})
    assert refused.status_code == 409
    assert f"This was changed to “{told}” in the meantime. Save again to replace it." in parsed(refused).text
    assert saved(cast, path)[field] == theirs
    shown = filled(refused)
    assert (shown[field], shown[f"base-{field}"]) == (mine, theirs)
    assert browser("admin").post(path, shown).status_code == 302
    assert saved(cast, path)[field] == mine


def test_a_field_emptied_in_the_meantime_is_reported_as_emptied(browser, cast):
    browser("admin").post(TEAM, {**opened(browser, TEAM), "description": "Pays"})
    form = opened(browser, TEAM)
    browser("admin").post(TEAM, {**form, "description": ""})
    refused = browser("admin").post(TEAM, {**form, "description": "Takes money"})
    assert "This was emptied in the meantime. Save again to keep your value." in parsed(refused).text
    assert browser("admin").post(TEAM, filled(refused)).status_code == 302
    assert saved(cast, TEAM)["description"] == "Takes money"


def test_two_changes_to_the_same_value_do_not_conflict(browser, cast):
    form = opened(browser, TEAM)
    for _ in range(2):
        assert browser("admin").post(TEAM, {**form, "name": "Till"}).status_code == 302


def test_an_unchanged_form_writes_nothing(browser, cast):
    for path in FIELDS:
        assert browser("admin").post(path, opened(browser, path)).status_code == 302
    assert not AuditEntry.objects.exists()
    assert not OutboxEntry.objects.exists()


def test_a_save_between_comparison_and_saving_is_compared_too(browser, cast, monkeypatch):
    form, lead = opened(browser, TEAM), cast.viewer("lead")

    def save_after_another_user(**given):
        monkeypatch.setattr(teams.organizations, "change_team", change_team)
        change_team(actor=lead, team_id=cast.checkout.pk, values={"name": "Cash desk"})
        return change_team(**given)

    monkeypatch.setattr(teams.organizations, "change_team", save_after_another_user)
    assert browser("admin").post(TEAM, {**form, "name": "Till", "description": "Pays"}).status_code == 409
    assert saved(cast, TEAM) == {"name": "Cash desk", "description": ""}
