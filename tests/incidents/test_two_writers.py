"""Two processes write to one SQLite file at once: each waits for its turn, and no change is refused or lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).parents[2]
CHANGES = 25
# Seconds. Longer than the five after which SQLite gives up by default.
HELD = 5.5

WRITER = f"""
import sys
import django
django.setup()
from incidents.actions.incidents import change_incident, create_incident
from incidents.actions.sections import add_row
from incidents.models import Incident, User
from incidents.scopes import Viewer
name, shared = sys.argv[1], int(sys.argv[2])
author = Viewer.of(User.objects.get(email="author@acme.example"))
print("ready", flush=True)
sys.stdin.readline()
for n in range({CHANGES}):
    facts = {{"title": f"{{name}} {{n}}", "team": "checkout"}}
    incident = create_incident(actor=author, facts=facts)
    change_incident(actor=author, incident_id=incident.pk, facts={{"severity": "sev2"}})
    add_row(actor=author, incident_id=shared, kind="lessons", values={{"text": f"{{name}} {{n}}"}})
"""


@pytest.mark.slow
@pytest.mark.sqlite_only
@pytest.mark.django_db(transaction=True)
def test_two_processes_write_to_one_file_at_once_and_nothing_fails_or_is_lost(draft, tmp_path):
    shared = draft("Written by both")
    file = tmp_path / "precedent.sqlite3"
    with closing(sqlite3.connect(file)) as database, ExitStack() as started:
        # The test database is in memory, where no other process can open it.
        connection.connection.backup(database)
        database.execute("PRAGMA journal_mode=WAL")
        database.isolation_level = None
        writers = [started.enter_context(_writer(file, name, shared.pk)) for name in ("one", "other")]
        for writer in writers:
            started.callback(writer.kill)
            assert writer.stdout.readline() == "ready\n"
        database.execute("BEGIN IMMEDIATE")
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        time.sleep(HELD)
        database.execute("COMMIT")
        for writer in writers:
            _, errors = writer.communicate(timeout=60)
            assert writer.returncode == 0, errors
        titles = {f"{name} {n}" for name in ("one", "other") for n in range(CHANGES)}

        def column(sql: str) -> list[object]:
            return [value for (value,) in database.execute(sql)]

        assert set(column("SELECT title FROM incidents_incident WHERE severity = 'sev2'")) == titles
        assert sorted(column(f"SELECT text FROM incidents_lesson WHERE incident_id = {shared.pk}")) == sorted(titles)
        # No addition overwrote another.
        assert column(f"SELECT version FROM incidents_incident WHERE id = {shared.pk}") == [1 + len(titles)]


def _writer(file: Path, name: str, shared: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "kb.settings",
        "DATABASE_URL": f"sqlite:///{file}",
        "VAR_DIR": str(file.parent),
    }
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(shared)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
