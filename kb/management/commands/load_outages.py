"""Loads the pattern vocabulary and the famous outages from the fixtures into the database."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents import template
from incidents.actions.organizations import save_template
from incidents.errors import ActionError
from incidents.management import arguments
from incidents.management.progress import each, quiet_task_log
from incidents.outages import files, loading, rules
from incidents.scopes import Viewer
from kb.patterns import vocabulary
from kb.patterns.curation import tag_outages


class Command(BaseCommand):
    help = (
        "Load the famous outages: publish new and changed files, and archive incidents whose file is gone. "
        "Running it again changes nothing. Exits with code 1 if a file could not be loaded; the others are loaded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "path",
            nargs="?",
            type=Path,
            default=files.FOLDER,
            help="the folder with all files, or one file to load without touching the others",
        )
        parser.add_argument("--only", metavar="ID", help="load only the file with this id")

    def handle(self, *, path: Path, only: str | None, verbosity: int, **options: Any) -> None:
        named = arguments.outage_files(path)
        wanted = [file for file in named if only in (None, file.stem)]
        if not wanted:
            raise CommandError(f"There is no file {only}.yaml in {path}.", returncode=2)
        with quiet_task_log():
            self._load(path, named, wanted, is_whole=only is None and path.is_dir(), verbosity=verbosity)

    def _load(self, path: Path, named: list[Path], wanted: list[Path], *, is_whole: bool, verbosity: int) -> None:
        fingerprint = files.fingerprint(path)
        actor = Viewer.system()
        for definition in template.shipped_definitions():
            save_template(actor=actor, definition=definition)
        vocabulary.load(actor=actor)
        slugs = vocabulary.slugs()
        here = loading.loaded_outages()
        counts: Counter[str] = Counter()
        definitions: list[dict[str, Any]] = []
        failed = 0
        for file in each("Famous outages", [files.read(file) for file in wanted]):
            rules.check(file, patterns=slugs)
            if file.is_valid and file.definition:
                try:
                    counts[loading.load(actor, file.definition, here.get(file.id))] += 1
                    definitions.append(file.definition)
                except ActionError as error:
                    file.problems.append(error.message)
            if file.problems:
                failed += 1
                self.stderr.write(f"{file.id}: not loaded. {' '.join(file.problems)}")
        archived = loading.archive_missing(actor, here, {file.stem for file in named}) if is_whole else []
        loading.sync_links(actor, definitions)
        tag_outages(actor, definitions)
        if is_whole and not failed:
            loading.save_fingerprint(actor, fingerprint)
        if verbosity:
            words = [f"{count} {outcome}" for outcome in loading.Outcome if (count := counts[outcome])]
            words += [f"{len(archived)} archived"] if archived else []
            self.stdout.write(f"Famous outages: {', '.join(words) or 'none loaded'}.")
        if failed:
            raise CommandError(f"{failed} of {len(wanted)} files could not be loaded.", returncode=1)
