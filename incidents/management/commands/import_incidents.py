"""Imports postmortems from files."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from incidents.errors import Invalid
from incidents.importing import documents, files, frontmatter
from incidents.importing.candidates import Candidate, Rejected
from incidents.importing.execution import Result, add_links, import_candidate, take_snapshot
from incidents.importing.planning import Outcome, plan
from incidents.management.arguments import check_readable
from incidents.management.progress import each, quiet_task_log
from incidents.scopes import Viewer
from incidents.text import printable
from incidents.vocabulary import Visibility


class Command(BaseCommand):
    help = (
        "Import postmortems from Markdown with front matter in the postmortems.app format, or from Precedent's own "
        "JSON export. They are published immediately, with origin imported; one that was exported while reopened is "
        "reopened here too. Safe to run again. Exits with code 1 if anything was rejected; the rest is imported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a folder, or one file")
        parser.add_argument(
            "--format",
            choices=[str(known) for known in files.Format],
            help="import only files of this format; by default the file extension decides",
        )
        parser.add_argument(
            "--visibility",
            choices=[Visibility.PUBLIC.value, Visibility.INTERNAL.value],
            help="who can read them; by default as the JSON document says, and internal for Markdown",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="report what would be done without changing anything"
        )
        parser.add_argument(
            "--overwrite", action="store_true", help="also replace incidents that people changed after the last import"
        )

    def handle(
        self,
        *,
        path: Path,
        format: str | None,
        visibility: str | None,
        dry_run: bool,
        overwrite: bool,
        verbosity: int,
        **options: Any,
    ) -> None:
        check_readable(path)
        found = files.find(path, files.Format(format) if format else None)
        if not found:
            *more, last = (e for e, of in files.ENDINGS.items() if format in (None, of))
            endings = f"{', '.join(more)} or {last}" if more else last
            raise CommandError(f"There are no files ending in {endings} in {path}.", returncode=2)
        folder = path if path.is_dir() else path.resolve().parent
        candidates = [candidate for file in each("Reading", found) for candidate in _read(file, folder)]
        snapshot = take_snapshot()
        actor = Viewer.system()
        planned = plan(candidates, snapshot, visibility=visibility, overwrite=overwrite)
        results: list[Result] = []
        with quiet_task_log():
            for one in each("Dry run" if dry_run else "Importing", planned):
                results.append(import_candidate(actor, one, snapshot, dry_run=dry_run))
                self._tell(results[-1])
            for result, note in add_links(actor, results, snapshot, dry_run=dry_run):
                _say(self.stdout, result, note)
        counts = Counter(one.outcome for one in results)
        if verbosity:
            words = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
            self.stdout.write(f"{'Dry run, nothing changed. Would be: ' if dry_run else ''}{words}.")
        if rejected := counts[Outcome.REJECTED]:
            raise CommandError(f"{rejected} of {len(results)} were rejected.", returncode=1)

    def _tell(self, result: Result) -> None:
        """Print a line for each rejected or kept postmortem, and for anything that was not imported with it."""
        if result.outcome is Outcome.REJECTED:
            _say(self.stderr, result, f"rejected. {result.reason}")
        elif result.outcome is Outcome.KEPT:
            _say(self.stdout, result, f"kept unchanged. {result.reason}")
        for note in result.notes:
            _say(self.stdout, result, note)


def _say(to: OutputWrapper, result: Result, words: str) -> None:
    """The words may quote the file, whose control characters must not reach the terminal."""
    to.write(printable(f"{result.planned.name}: {words}"))


def _read(file: files.FoundFile | Rejected, folder: Path) -> list[Candidate | Rejected]:
    if isinstance(file, Rejected):
        return [file]
    text = files.read(file, folder)
    if isinstance(text, Rejected):
        return [text]
    if file.format is files.Format.JSON:
        return list(documents.read_all(file.name, text))
    try:
        return [frontmatter.read(file.name, text)]
    except Invalid as error:
        return [Rejected(file.name, error.message)]
