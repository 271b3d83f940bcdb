"""The pause after too many wrong passwords: how long it lasts, and whom it affects."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F

from kb.web.people.sign_in import PEOPLE_PER_ADDRESS, reset_link
from tests.conftest import PASSWORD

NEW = "another long enough phrase"
GOOD = {"username": "author@acme.example", "password": PASSWORD}


@pytest.fixture
def locked_out(client, cast, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post("/sign-in", {**GOOD, "password": "wrong"})
    assert client.post("/sign-in", GOOD).status_code == 429


def later(passed: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - passed)


def test_the_pause_ends_after_its_time(client, cast, settings, locked_out):
    later(settings.AXES_COOLOFF_TIME - timedelta(minutes=1))
    assert client.post("/sign-in", GOOD).status_code == 429
    # The attempt during the pause restarted it.
    later(settings.AXES_COOLOFF_TIME)
    assert client.post("/sign-in", GOOD).status_code == 302
    assert client.session["_auth_user_id"] == str(cast.author.pk)


def test_the_pause_applies_to_one_account_from_one_machine(client, locked_out):
    assert client.post("/sign-in", {**GOOD, "username": "lead@acme.example"}).status_code == 302
    client.post("/sign-out")
    assert client.post("/sign-in", GOOD, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_one_ip_address_cannot_try_one_password_on_all_users(client, cast, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for number in range(2 * PEOPLE_PER_ADDRESS):
        assert client.post("/sign-in", {**GOOD, "username": f"{number}@acme.example"}).status_code == 200
    assert client.post("/sign-in", GOOD).status_code == 429
    assert client.post("/sign-in", GOOD, REMOTE_ADDR="192.0.2.7").status_code == 302
    later(settings.AXES_COOLOFF_TIME)
    assert client.post("/sign-in", {**GOOD, "username": "lead@acme.example"}).status_code == 302


def test_the_addresses_of_one_ipv6_network_count_as_one(client, cast, settings):
    for number in range(settings.AXES_FAILURE_LIMIT):
        client.post("/sign-in", {**GOOD, "password": "wrong"}, REMOTE_ADDR=f"2001:db8:1:2::{number + 1}")
    assert client.post("/sign-in", GOOD, REMOTE_ADDR="2001:db8:1:2:3:4:5:6").status_code == 429
    assert client.post("/sign-in", GOOD, REMOTE_ADDR="2001:db8:1:3::1").status_code == 302


def test_setting_a_password_by_link_ends_the_pause(client, cast, locked_out):
    page = client.get(reset_link(cast.author).removeprefix("http://127.0.0.1:8000"))
    client.post(page.url, {"new_password1": NEW, "new_password2": NEW})
    assert client.post("/sign-in", {**GOOD, "password": NEW}).status_code == 302


def test_failures_to_change_the_password_count_towards_the_pause(client, cast, settings):
    client.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    change = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert client.post("/password", change).status_code == 400
    assert client.post("/password", change).status_code == 429
    assert client.post("/password", {**change, "old_password": PASSWORD}).status_code == 429
    kept = AccessAttempt.objects.get()
    assert not any(word in kept.post_data for word in ("wrong", NEW))
    later(settings.AXES_COOLOFF_TIME)
    assert client.post("/password", {**change, "old_password": PASSWORD}).status_code == 302
