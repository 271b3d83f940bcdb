"""Every command says in one line that the database cannot be used; a mistake of ours keeps its traceback."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "k7Qd" * 12 + "abcdefgh"


def manage(env, *words):
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def complaint(done):
    """The one line that a command printed before it failed."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line


def query(env, sql):
    return manage(env, "shell", "-v0", "-c", f"from django.db import connection; connection.cursor().execute('{sql}')")


@pytest.fixture
def embedded(plain, tmp_path):
    return {**plain, "VAR_DIR": str(tmp_path)}


@pytest.mark.parametrize(
    "words", [("import_incidents", "README.md"), ("purge_incidents",), ("search_index", "status"), ("clearsessions",)]
)
def test_a_database_that_is_not_prepared_is_named_with_the_remedy(embedded, tmp_path, words):
    said = complaint(manage(embedded, *words))
    assert said.startswith(f"The database at {tmp_path}/precedent.sqlite3 is not prepared for this version.")
    assert "Run `manage.py prepare`, or check that DATABASE_URL and VAR_DIR" in said
    assert not (tmp_path / "precedent.sqlite3").exists()


def test_a_command_that_only_looks_creates_no_database(embedded, tmp_path):
    assert "is not prepared for this version" in complaint(manage(embedded, "showmigrations"))
    assert manage(embedded, "check").returncode == 0
    assert not (tmp_path / "precedent.sqlite3").exists()


def test_other_settings_can_be_named(embedded, tmp_path):
    (tmp_path / "elsewhere.py").write_text(
        "from kb.settings import *\nDATABASES['default']['NAME'] = str(VAR_DIR / 'other.sqlite3')\n"
    )
    other = ("--settings=elsewhere", "--pythonpath", str(tmp_path))
    assert manage(embedded, "migrate", "-v0", *other).returncode == 0
    assert [file.name for file in tmp_path.glob("*.sqlite3")] == ["other.sqlite3"]
    assert manage(embedded, "purge_incidents", *other).returncode == 0


@pytest.mark.postgres_only
def test_a_postgresql_database_that_is_not_prepared_is_named_without_its_password(full_mode):
    url = full_mode["DATABASE_URL"]
    said = complaint(manage({**full_mode, "SECRET_KEY": SECRET_KEY}, "purge_incidents"))
    assert said.startswith(f"The database at {url.partition('@')[2]} is not prepared")


def test_an_unreachable_database_is_named_with_the_reason_and_without_its_password(plain):
    env = {**plain, "DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:1/none", "SECRET_KEY": SECRET_KEY}
    said = complaint(manage(env, "purge_incidents"))
    assert said.startswith("The database at 127.0.0.1:1/none cannot be used (")
    assert "Connection refused" in said
    assert said.endswith("Check DATABASE_URL and VAR_DIR.")
    assert "hush" not in said


def test_a_traceback_is_still_shown_on_request(embedded):
    assert manage(embedded, "purge_incidents", "--traceback").stderr.startswith("Traceback")


def test_an_error_of_ours_keeps_its_traceback_unless_migrations_are_missing(embedded, tmp_path):
    assert manage(embedded, "migrate", "-v0").returncode == 0
    wrong = query(embedded, "SELECT misspelled FROM incidents_incident")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Traceback")
    assert "no such column: misspelled" in wrong.stderr
    with closing(sqlite3.connect(tmp_path / "precedent.sqlite3")) as database:
        database.execute("DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)")
        database.commit()
    assert "is not prepared for this version" in complaint(query(embedded, "SELECT newer FROM incidents_incident"))


def test_a_migration_that_fails_keeps_its_traceback(embedded, tmp_path):
    with closing(sqlite3.connect(tmp_path / "precedent.sqlite3")) as database:
        database.execute("CREATE TABLE incidents_user (id)")
    failed = manage(embedded, "migrate", "-v0")
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert "already exists" in failed.stderr
