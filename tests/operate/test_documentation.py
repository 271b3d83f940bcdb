"""The commands in the documentation can be typed as they are written."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from django.core.management import get_commands

from .conftest import ROOT


def test_every_command_is_written_as_it_can_be_typed_in_a_clone() -> None:
    commands = get_commands()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        assert text.count("manage.py") == text.count(".venv/bin/python manage.py"), page.name
        for name in re.findall(r"manage\.py (\w+)|compose run.* web (\w+)", text):
            assert set(name) & set(commands), page.name


def test_the_commands_for_the_embedded_mode_back_up_a_running_database_and_restore_it(tmp_path: Path) -> None:
    text = (ROOT / "docs/backup.md").read_text()
    back_up, restore = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)

    def type_in(commands: str) -> None:
        python = commands.replace(".venv/bin/python", sys.executable)
        subprocess.run(["/bin/sh", "-e", "-c", python], cwd=tmp_path, check=True, timeout=30)

    def read() -> list[object]:
        with closing(sqlite3.connect(tmp_path / "var/precedent.sqlite3")) as database:
            return [word for (word,) in database.execute("SELECT word FROM words")]

    (tmp_path / "var").mkdir()
    (tmp_path / "var/secret-key").write_text("key")
    with closing(sqlite3.connect(tmp_path / "var/precedent.sqlite3", isolation_level=None)) as running:
        running.execute("PRAGMA journal_mode=WAL")
        running.execute("CREATE TABLE words (word)")
        running.execute("INSERT INTO words VALUES ('before')")
        type_in(back_up)
        running.execute("INSERT INTO words VALUES ('after')")
        # Keep the WAL files as a killed process would leave them.
        wal_files = {path: path.read_bytes() for path in tmp_path.glob("var/precedent.sqlite3-*")}
    for path, content in wal_files.items():
        path.write_bytes(content)
    type_in(restore)
    assert read() == ["before"]
    assert {path.name for path in (tmp_path / "backup").iterdir()} == {"precedent.sqlite3", "secret-key"}
    assert [path for path in (tmp_path / "backup").iterdir() if path.stat().st_mode & 0o077] == []


def test_every_link_within_the_documentation_leads_to_a_page_and_a_heading_that_exist() -> None:
    def headings(page: Path) -> set[str]:
        titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
            path, _, heading = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not heading or heading in headings(target), f"{page.name}: {link}"
