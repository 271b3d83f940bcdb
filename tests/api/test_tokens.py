"""Access tokens and sessions: who the caller is, and what their credentials allow."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from incidents.actions.people import create_service_account, set_account_access
from incidents.models import AuditEntry
from kb.api import tokens
from kb.api.models import AccessToken
from tests.api.conftest import Caller, codes, fields
from tests.conftest import in_another_connection

ROOT = Path(__file__).parents[2]


def test_a_token_is_shown_once_and_stored_only_as_a_digest(api):
    made = api("author").post("tokens", {"name": "Pager", "scope": "write", "days": 30})
    secret = made.json()["token"]
    assert made["Cache-Control"] == "no-store"
    kept = AccessToken.objects.get(uuid=made.json()["id"])
    assert secret not in {kept.digest, kept.token_key}
    assert secret not in str(list(AuditEntry.objects.values_list("change", flat=True)))
    assert "token" not in api("author").get(made["Location"]).json()
    assert secret not in api("author").get("tokens").content.decode()
    assert Caller(Client(), secret).get("me").json()["email"] == "author@acme.example"
    days = (kept.expiry - timezone.now()) / timedelta(days=1)
    assert 29.9 < days <= 30


def test_a_read_token_reads_what_its_owner_reads_and_writes_nothing(api, draft):
    incident = draft()
    reads = api("author", "read")
    assert reads.get("me").json()["scope"] == "read"
    assert reads.get(f"incidents/{incident.pk}").status_code == 200
    refused = reads.patch(f"incidents/{incident.pk}", {"severity": "sev1"})
    assert codes(refused) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in refused["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer", "invalid_token"),
        ("Bearer nonsense", "invalid_token"),
        ("Bearer two words", "invalid_token"),
        ("Bearer schlüssel", "invalid_token"),
        ("bearer precedent_0000", "invalid_token"),
    ],
)
def test_an_unknown_token_is_refused_even_for_public_data(api, header, code):
    refused = api("anonymous").get("incidents", Authorization=header)
    assert codes(refused) == (401, code)
    assert refused["WWW-Authenticate"].startswith('Bearer realm="Precedent"')
    assert 'error="invalid_token"' in refused["WWW-Authenticate"]


def test_an_expired_token_has_its_own_error_and_stays_in_its_owners_list(api, cast):
    token, secret = tokens.create_token(actor=cast.viewer("author"), name="Old")
    AccessToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    assert codes(Caller(Client(), secret).get("incidents")) == (401, "token_expired")
    listed = {line["name"]: line for line in api("author").get("tokens").json()["results"]}
    assert datetime.fromisoformat(listed["Old"]["expires_at"]) < timezone.now()


def test_a_revoked_token_stops_working_at_once(api):
    made = api("author").post("tokens", {"name": "Pager"}).json()
    pager = Caller(Client(), made["token"])
    assert pager.get("me").status_code == 200
    assert api("author").delete(made["url"]).status_code == 204
    assert codes(pager.get("me")) == (401, "invalid_token")


def test_the_tokens_of_a_deactivated_account_stop_working(api, cast):
    author = api("author")
    set_account_access(actor=cast.viewer("admin"), user_id=cast.author.pk, is_active=False)
    assert codes(author.get("incidents")) == (401, "inactive_account")


def test_the_last_use_is_recorded_at_most_once_a_minute(api, cast):
    author = api("author")
    token = AccessToken.objects.get(user=cast.author)
    assert token.last_used is None
    author.get("me")
    token.refresh_from_db()
    first = token.last_used
    assert timezone.now() - first < timedelta(minutes=1)
    author.get("me")
    token.refresh_from_db()
    assert token.last_used == first
    AccessToken.objects.update(last_used=first - timedelta(seconds=61))
    author.get("me")
    token.refresh_from_db()
    assert token.last_used >= first


READ = """
import json, sys, time
import django
django.setup()
from django.test import Client
Client(SERVER_NAME="127.0.0.1").get("/api/v1/me")  # Loads everything that only a first request loads.
began = time.monotonic()
reader = Client(SERVER_NAME="127.0.0.1", headers={"authorization": f"Bearer {sys.argv[1]}"})
print(json.dumps([reader.get("/api/v1/me").status_code, time.monotonic() - began]))
"""


@pytest.mark.sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_read_does_not_wait_for_a_writer_to_the_sqlite_file(cast, tmp_path):
    secret = tokens.create_token(actor=cast.viewer("author"), name="Reads")[1]
    file = tmp_path / "precedent.sqlite3"
    # The test database is in memory, where no other process can open it.
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        connection.connection.backup(database)
        database.execute("PRAGMA journal_mode=WAL")
        environment = {**os.environ, "DATABASE_URL": f"sqlite:///{file}", "DJANGO_SETTINGS_MODULE": "kb.settings"}

        def read():
            done = subprocess.run(
                [sys.executable, "-c", READ, secret], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            status, seconds = json.loads(done.stdout.splitlines()[-1])
            # A write would wait for 20 s.
            return status, seconds < 5, *database.execute("SELECT last_used IS NOT NULL FROM api_accesstoken")

        database.execute("BEGIN IMMEDIATE")
        assert read() == (200, True, (0,))
        database.execute("COMMIT")
        assert read() == (200, True, (1,))


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_read_does_not_wait_for_the_row_lock_of_its_token(api, cast):
    author, seen = api("author"), []
    with transaction.atomic():
        AccessToken.objects.select_for_update().get(user=cast.author)
        assert in_another_connection(lambda: seen.append(author.get("me").status_code)) == []
        assert seen == [200]
    assert AccessToken.objects.get(user=cast.author).last_used is None
    author.get("me")
    assert AccessToken.objects.get(user=cast.author).last_used is not None


def test_users_cannot_see_or_revoke_each_others_tokens(api):
    made = api("author").post("tokens", {"name": "Pager"}).json()
    for name in ("outsider", "lead", "admin"):
        assert codes(api(name).get(made["url"])) == (404, "not_found")
        assert codes(api(name).delete(made["url"])) == (404, "not_found")
        assert made["id"] not in api(name).get("tokens").content.decode()


def test_admins_manage_the_tokens_of_service_accounts(api, cast):
    create_service_account(actor=cast.viewer("admin"), name="Pager", email="pager@acme.example")
    made = api("admin").post("tokens", {"name": "Pager", "owner": "pager@acme.example", "scope": "write"}).json()
    pager = Caller(Client(), made["token"])
    me = pager.get("me").json()
    assert (me["is_service_account"], me["email"], me["scope"]) == (True, "pager@acme.example", "write")
    assert api("admin").get(made["url"]).json()["owner"] == "pager@acme.example"
    assert codes(api("author").post("tokens", {"name": "x", "owner": "pager@acme.example"})) == (403, "not_allowed")
    assert fields(api("admin").post("tokens", {"name": "x", "owner": "author@acme.example"})) == {"owner"}
    assert api("admin").delete(made["url"]).status_code == 204
    assert codes(pager.get("me")) == (401, "invalid_token")


def test_a_token_cannot_create_one_that_outlives_it(cast):
    _, secret = tokens.create_token(actor=cast.viewer("author"), name="Short", scope="write", days=2)
    made = Caller(Client(), secret).post("tokens", {"name": "Longer", "days": 300}).json()
    assert datetime.fromisoformat(made["expires_at"]) - timezone.now() <= timedelta(days=2)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"name"}),
        ({"name": " "}, {"name"}),
        ({"name": "x", "scope": "admin"}, {"scope"}),
        ({"name": "x", "days": 0}, {"days"}),
        ({"name": "x", "days": 400}, {"days"}),
        ({"name": "x", "days": True}, {"days"}),
    ],
)
def test_a_token_needs_a_name_a_known_scope_and_a_bounded_lifetime(api, body, named):
    assert fields(api("author").post("tokens", body)) == named


def test_a_user_can_have_only_so_many_tokens(api, monkeypatch):
    monkeypatch.setattr(tokens, "TOKENS_PER_PERSON", 2)
    author = api("author")
    assert author.post("tokens", {"name": "Second"}).status_code == 201
    assert fields(author.post("tokens", {"name": "Third"})) == {"name"}


def test_a_session_reads_and_writes_with_the_csrf_token(cast, draft):
    incident = draft()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"/api/v1/incidents/{incident.pk}").status_code == 200
    change = {
        "path": f"/api/v1/incidents/{incident.pk}",
        "data": {"severity": "sev1"},
        "content_type": "application/json",
    }
    refused = browser.patch(**change, headers={"If-Match": "*"})
    assert codes(refused) == (403, "csrf_failed")
    browser.get("/api/v1/docs")
    sent = {"If-Match": "*", "X-CSRFToken": browser.cookies["csrftoken"].value}
    assert browser.patch(**change, headers=sent).json()["severity"] == "sev1"
    assert browser.get("/api/v1/me").json()["scope"] == "write"


def test_anonymous_writes_ask_for_a_token(api, published):
    incident = published(visibility="public")
    refused = api("anonymous").patch(f"incidents/{incident.pk}", {"severity": "sev1"})
    assert codes(refused) == (401, "not_authenticated")
    assert refused["WWW-Authenticate"] == 'Bearer realm="Precedent"'
    assert codes(api("anonymous").get("me")) == (401, "not_authenticated")
