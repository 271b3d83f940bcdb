"""The documented commands move everything from the embedded mode to the full mode."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .conftest import ROOT

WRITE = """
from django.utils import timezone
from incidents.actions.incidents import delete_incident
from incidents.scopes import Viewer
from kb.api.tokens import create_token
from kb.search import relay
from kb.search.saved import save_search
from kb.search.service import SearchRequest
from tests import conftest

conftest._make_cast()
# A time that is a whole second as soon as it is written in milliseconds.
conftest.User.objects.update(joined_at=timezone.now().replace(microsecond=123))
users = {user.name.lower(): user for user in conftest.User.objects.exclude(is_system=True)}
teams = {team.slug: team for team in conftest.Team.objects.all()}
home = conftest.Organization.objects.get()
cast = conftest.Cast(home=home, **teams, **{name: users[name] for name in users})
conftest.publish_one(cast, "A wombat chewed a cable", visibility="public", services=["Ledger"])
conftest.begin(cast, "A quokka waits")
gone = conftest.begin(cast, "A numbat left")
delete_incident(actor=Viewer.of(cast.lead), incident_id=gone.pk)
create_token(actor=Viewer.of(cast.author), name="Deploys", scope="write")
save_search(actor=Viewer.of(cast.author), name="Mine", request=SearchRequest(q="cable"))
relay.drain()
"""
# What the documented `prepare` does, without the famous outages, which would take half a minute.
PREPARE = """
from pathlib import Path
from django.core.management import call_command
from incidents.outages import files
files.FOLDER = Path("{}")
call_command("prepare")
"""
SEARCH = """
from incidents.models import User
from incidents.scopes import Viewer
from kb.search.models import SearchDocument
from kb.search.service import SearchRequest, search
for who in ("author", "outsider"):
    viewer = Viewer.of(User.objects.get(email=f"{who}@acme.example"))
    page = search(viewer, SearchRequest(q="wombat OR quokka OR numbat"))
    print(page.engine, *sorted(result.title for result in page.results), sep="|")
print("in the database", SearchDocument.objects.count())
"""


def documented() -> tuple[str, str]:
    """What to type in the embedded mode, and then in the full mode."""
    (section,) = re.findall(
        r"## From the embedded to the full mode\n(.*?)\n## ", (ROOT / "docs/backup.md").read_text(), re.S
    )
    write, read, _ = re.findall(r"(?:^    .*\n)+", section, re.M)
    return write, read


def type_in(commands: str, folder: Path, env: dict[str, str]) -> str:
    typed = commands.replace(".venv/bin/python manage.py", f"{sys.executable} {ROOT / 'manage.py'}")
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", typed], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(script: str, env: dict[str, str]) -> list[str]:
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def rows(file: Path) -> dict[tuple[str, Any], dict[str, Any]]:
    # Django writes times in milliseconds, and leaves them out only of a time that has no microseconds either.
    text = re.sub(r"(:\d\d)\.000Z", r"\1Z", file.read_text())
    return {(row["model"], row["pk"]): row["fields"] for row in json.loads(text)}


def test_the_commands_move_everything(tmp_path: Path, plain: dict[str, str], full_mode: dict[str, str]) -> None:
    write, read = documented()
    embedded = {**plain, "VAR_DIR": str(tmp_path / "var")}
    type_in(".venv/bin/python manage.py migrate --verbosity=0", tmp_path, embedded)
    shell(WRITE, embedded)
    type_in(write, tmp_path, embedded)
    moved = rows(tmp_path / "precedent.json")
    kinds = {model for model, _ in moved}
    assert {"incidents.revision", "api.accesstoken", "incidents.auditentry", "search.savedsearch"} <= kinds
    assert (tmp_path / "precedent.json").stat().st_mode & 0o077 == 0

    full = {**plain, **full_mode, "VAR_DIR": str(tmp_path / "full")}
    full["SECRET_KEY"] = (tmp_path / "var/secret-key").read_text().strip()
    migrate_and_load, prepare = read.rsplit("    .venv", 1)
    type_in(migrate_and_load, tmp_path, full)
    type_in(write.replace("precedent.json", "again.json"), tmp_path, full)
    assert rows(tmp_path / "again.json") == moved
    assert prepare.split() == ["/bin/python", "manage.py", "prepare"]
    (tmp_path / "none").mkdir()
    shell(PREPARE.format(tmp_path / "none"), full)
    assert shell(SEARCH, full) == [
        "elasticsearch|A quokka waits|A wombat chewed a cable",
        "elasticsearch|A wombat chewed a cable",
        "in the database 2",
    ]
