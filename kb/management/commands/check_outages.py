"""Checks the famous outage files. Needs no database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents.management import arguments
from incidents.outages import cross_checks, files, rules
from incidents.wording import with_noun
from kb.patterns import vocabulary


class Command(BaseCommand):
    help = "Check the famous outage files and print one line per problem. Exits with code 1 if there is any problem."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", type=Path, default=files.FOLDER, help="the folder, or one file in it")

    def handle(self, *, path: Path, **options: Any) -> None:
        named = arguments.outage_files(path)
        # A single file is also checked against the other files in its folder.
        neighbours = files.paths(path.parent) if path.is_file() else []
        read = {file: files.read(file) for file in sorted({*named, *neighbours})}
        slugs = vocabulary.slugs()
        for file in read.values():
            rules.check(file, patterns=slugs)
        cross_checks.check([*read.values()])
        found = [f"{read[file].id}: {problem}" for file in named for problem in read[file].problems]
        for line in found:
            self.stdout.write(line)
        if found:
            raise CommandError(
                f"{with_noun(len(found), 'problem')} found in {with_noun(len(named), 'file')}.", returncode=1
            )
        self.stdout.write(f"{with_noun(len(named), 'file')} checked, no problems found.")
