"""The page of access tokens: created, used, listed and revoked in a browser."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from playwright.sync_api import expect

from incidents.models import AuditEntry
from kb.api.models import AccessToken
from tests.e2e.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True)


def me(secret):
    return Client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_token_is_created_shown_once_used_and_revoked(people, cast, width, scheme):
    cast.author.time_zone = "Pacific/Kiritimati"
    cast.author.save()
    author = people("author", width=width, schemes=(scheme,))
    page = author.go("/account/tokens")
    expect(page.get_by_text("You have no tokens yet.")).to_be_visible()
    author.look()

    page.get_by_label("Name").fill("Deploy <b>bot</b>")
    page.get_by_label("Scope").select_option("write")
    page.get_by_label("Days until it expires").fill("30")
    page.get_by_role("button", name="Create token").click()
    listed = page.locator("#token-list li")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("Deploy <b>bot</b>")
    # Worded as on every other page, with the date in the reader's own time zone.
    until = AccessToken.objects.get().expiry.astimezone(ZoneInfo("Pacific/Kiritimati"))
    expect(listed).to_contain_text(f"reads and writes, until {until.day} {until:%B} {until.year}, never used")
    expect(page.get_by_text("You have no tokens yet.")).to_be_hidden()
    secret = page.locator("#token-secret").inner_text().strip()
    author.look()
    made = AccessToken.objects.get()
    assert (made.user, made.scope) == (cast.author, "write")
    assert timedelta(days=29) < made.expiry - made.created <= timedelta(days=30)

    # The token is used; the secret is not shown again.
    assert me(secret).json()["email"] == "author@acme.example"
    page.reload()
    expect(listed).to_contain_text("last used")
    expect(page.locator("#token-made")).to_be_hidden()
    assert secret not in page.content()

    page.get_by_role("button", name="Revoke").click()
    expect(listed).to_have_count(0)
    expect(page.get_by_text("You have no tokens yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="Your tokens")).to_be_focused()
    assert me(secret).status_code == 401
    assert AuditEntry.objects.filter(action="token.revoked", actor=cast.author).exists()
    author.look()


def test_the_secret_of_a_new_token_is_shown_until_that_token_is_revoked(people, cast):
    AccessToken.objects.create(user=cast.author, expiry=timedelta(days=1), name="Old", scope="read")
    page = people("author").go("/account/tokens")
    page.get_by_label("Name").fill("New")
    page.get_by_role("button", name="Create token").click()
    secret, listed = page.locator("#token-secret"), page.locator("#token-list li")
    expect(secret).not_to_be_empty()
    page.get_by_role("button", name="Revoke Old").click()
    expect(listed).to_have_count(1)
    expect(secret).to_be_visible()
    page.get_by_role("button", name="Revoke New").click()
    expect(listed).to_have_count(0)
    expect(page.locator("#token-made")).to_be_hidden()
    expect(secret).to_be_empty()


def test_signed_out_in_another_tab_one_is_asked_to_sign_in_again(people, settings):
    author = people("author", schemes=("light",))
    page = author.go("/account/tokens")
    page.get_by_label("Name").fill("Deploy bot")
    author.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Create token").click()
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("You are signed out. Sign in again.")
    expect(alert.get_by_role("link")).to_have_attribute("href", "/sign-in?next=/account/tokens")
    author.look()


def test_an_empty_number_of_days_is_reported_at_its_field(people):
    page = people("author").go("/account/tokens")
    page.get_by_label("Name").fill("Deploy bot")
    page.get_by_label("Days until it expires").fill("")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#token-days:invalid")).to_be_focused()
    expect(page.locator("#token-problem")).to_be_hidden()


def test_an_invalid_name_is_reported_on_the_page(people):
    author = people("author", schemes=("light",))
    page = author.go("/account/tokens")
    page.get_by_label("Name").fill(" ")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("alert")).to_have_text("Name: This field is required.")
    author.look()
    assert not AccessToken.objects.exists()


def test_all_tokens_are_listed_beyond_one_page_of_the_api(people, cast):
    for number in range(103):
        AccessToken.objects.create(user=cast.author, expiry=timedelta(days=1), name=f"Tool {number}", scope="read")
    page = people("author").go("/account/tokens")
    expect(page.locator("#token-list li")).to_have_count(103)
    names = page.locator("#token-list b").all_inner_texts()
    assert set(names) == {f"Tool {number}" for number in range(103)}


def test_the_page_also_works_under_another_host_name_than_the_configured_one(people, cast, settings):
    for number in range(101):
        AccessToken.objects.create(user=cast.author, expiry=timedelta(days=1), name=f"Tool {number}", scope="read")
    author = people("author")
    settings.BASE_URL = "https://precedent.example"
    listed = author.go("/account/tokens").locator("#token-list li")
    expect(listed).to_have_count(101)
    author.page.get_by_role("button", name="Revoke Tool 7", exact=True).click()
    expect(listed).to_have_count(100)
    assert not AccessToken.objects.filter(name="Tool 7").exists()
