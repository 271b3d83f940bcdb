"""What the documentation tells people to type can be typed."""

from __future__ import annotations

import re

from django.core.management import get_commands

from .conftest import ROOT


def test_every_command_stands_there_as_it_can_be_typed_in_a_clone() -> None:
    commands = get_commands()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        assert text.count("manage.py") == text.count(".venv/bin/python manage.py"), page.name
        for name in re.findall(r"manage\.py (\w+)|compose run.* web (\w+)", text):
            assert set(name) & set(commands), page.name
