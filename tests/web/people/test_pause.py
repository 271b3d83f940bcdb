"""Too many wrong passwords: how long the pause is, and for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F

from tests.conftest import PASSWORD

GOOD = {"username": "author@acme.example", "password": PASSWORD}


@pytest.fixture
def locked_out(client, cast, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post("/sign-in", {**GOOD, "password": "wrong"})
    assert client.post("/sign-in", GOOD).status_code == 429


def later(passed: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - passed)


def test_it_ends_after_its_time(client, cast, settings, locked_out):
    later(settings.AXES_COOLOFF_TIME - timedelta(minutes=1))
    assert client.post("/sign-in", GOOD).status_code == 429
    # What was tried meanwhile begins the pause anew.
    later(settings.AXES_COOLOFF_TIME)
    assert client.post("/sign-in", GOOD).status_code == 302
    assert client.session["_auth_user_id"] == str(cast.author.pk)


def test_it_is_for_one_account_from_one_machine(client, locked_out):
    assert client.post("/sign-in", {**GOOD, "username": "lead@acme.example"}).status_code == 302
    client.post("/sign-out")
    assert client.post("/sign-in", GOOD, REMOTE_ADDR="192.0.2.7").status_code == 302
