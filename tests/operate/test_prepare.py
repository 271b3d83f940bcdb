"""`prepare` does everything on the first start, nothing on the second, and prints one line if it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import RequestFactory

from incidents.models import Incident, Organization, OutboxEntry, PostmortemTemplate, Team, User
from incidents.outages import files
from kb.patterns.models import Pattern, Tag
from kb.search.models import SearchDocument
from tests.incidents.curated import other_outage, outage, write

ROOT = Path(__file__).resolve().parents[2]


def prepare():
    out, err = StringIO(), StringIO()
    call_command("prepare", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def row_counts():
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


@pytest.fixture
def place(db, settings, tmp_path, monkeypatch):
    """A separate installation with two outages."""
    settings.VAR_DIR = tmp_path / "var"
    queue, control = settings.VAR_DIR / "broker" / "queue", settings.VAR_DIR / "broker" / "control"
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(queue),
        "data_folder_out": str(queue),
        "control_folder": str(control),
    }
    monkeypatch.setattr(files, "FOLDER", write(tmp_path / "outages", outage(), other_outage()))
    settings.ADMIN_EMAIL, settings.ORGANIZATION_NAME = "admin@localhost.localdomain", "My organization"
    return tmp_path


def test_the_first_start_creates_everything_and_prints_a_working_password(place):
    out, err = prepare()
    assert err == ""
    email = re.search(r"Sign in as +(\S+)", out)[1]
    password = re.search(r"Password +(\S+)", out)[1]
    admin = authenticate(RequestFactory().post("/"), username=email, password=password)
    assert admin.is_admin
    assert (email, Organization.objects.get(is_home=True).name) == ("admin@localhost.localdomain", "My organization")
    assert Team.objects.get().memberships.get(role="lead").user == admin
    assert PostmortemTemplate.objects.filter(key="standard", is_current=True).exists()
    assert Pattern.objects.count() > 30
    assert Tag.objects.filter(state="confirmed").count() == 1
    assert Incident.objects.filter(origin="famous").count() == SearchDocument.objects.count() == 2
    assert not OutboxEntry.objects.exists()


def test_the_second_start_changes_nothing_and_prints_nothing(place):
    prepare()
    before = row_counts()
    assert prepare() == ("", "")
    assert row_counts() == before


def test_the_first_start_uses_the_names_from_the_settings(place, settings):
    settings.ADMIN_EMAIL = "Ada@Acme.example"
    # The home organization can be one that the outages mention.
    settings.ORGANIZATION_NAME = "Harbour Lines"
    prepare()
    assert User.objects.get(is_system=False).email == "ada@acme.example"
    home = Organization.objects.get(name="Harbour Lines")
    assert home.is_home
    assert home.incidents.get().origin == "famous"


def test_an_invalid_email_address_stops_the_first_start_and_can_be_corrected(place, settings):
    settings.ADMIN_EMAIL = "nobody"
    with pytest.raises(CommandError, match="valid e-mail address"):
        prepare()
    settings.ADMIN_EMAIL = "admin@localhost.localdomain"
    assert "Password" in prepare()[0]


def test_changed_outages_are_loaded_on_the_next_start(place):
    prepare()
    write(files.FOLDER, outage(severity="sev1"))
    assert prepare()[0] == "Famous outages: 1 changed, 1 unchanged.\n"
    assert SearchDocument.objects.filter(severity="sev1").count() == 1
    assert prepare()[0] == ""


def test_an_invalid_outage_file_is_named_and_does_not_stop_the_start(place):
    write(files.FOLDER, outage(severity="sev9"))
    out, err = prepare()
    assert "2021-harbour-seat-map: not loaded." in err
    assert "Password" in out
    assert Incident.objects.get().external_id == "2022-lantern-clock"


def test_the_filesystem_broker_starts_empty(place, settings):
    queue = settings.VAR_DIR / "broker" / "queue"
    queue.mkdir(parents=True)
    (queue / "stale.celery.msg").write_text("{}")
    prepare()
    assert list(queue.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "missing"])
def test_an_unwritable_var_folder_is_reported_in_one_line(place, settings, kind):
    (place / "file").write_text("")
    settings.VAR_DIR = {"file": place / "file", "missing": Path("/proc/nowhere")}[kind]
    with pytest.raises(CommandError, match="cannot be written to") as stopped:
        prepare()
    assert stopped.value.returncode == 1
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://nobody:x@127.0.0.1:1/none", "The database at 127.0.0.1:1/none cannot be used"),
        ("sqlite:////proc/nowhere/db.sqlite3", "The database at /proc/nowhere/db.sqlite3 cannot be used"),
    ],
)
def test_an_unreachable_database_is_reported_in_one_line_with_exit_code_1(tmp_path, url, says):
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "VAR_DIR": str(tmp_path),
        "SECRET_KEY": "k7Qd" * 12 + "abcdefgh",
        "CELERY_BROKER_URL": "",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
