"""Exports every incident of the installation, one file each."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents import export, scopes
from incidents.management.progress import bar
from incidents.scopes import Viewer
from incidents.wording import with_noun

ENDINGS = {"json": "json", "markdown": "md"}


class Command(BaseCommand):
    help = (
        "Export every incident, including drafts and internal incidents, to one file each, such as INC-12.json. "
        "JSON files can be imported again without loss."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the folder to write to; created if missing")
        parser.add_argument("--format", choices=[*ENDINGS], default="json")

    def handle(self, *, path: Path, format: str, verbosity: int, **options: Any) -> None:
        viewer = Viewer.system()
        count = 0
        try:
            path.mkdir(parents=True, exist_ok=True)
            with bar("Exporting", scopes.visible_incidents(viewer).count()) as progress_bar:
                for reading in export.readings(viewer):
                    file = path / f"{reading.incident.ref}.{ENDINGS[format]}"
                    file.write_text(_text(reading, format), encoding="utf-8")
                    count += 1
                    progress_bar.advance()
        except OSError as error:
            raise CommandError(f"{path} cannot be written to: {error.strerror}.", returncode=2) from error
        if verbosity:
            self.stdout.write(f"{with_noun(count, 'incident')} exported to {path}.")


def _text(reading: export.Reading, format: str) -> str:
    if format == "markdown":
        return export.markdown(reading)
    return json.dumps(export.json_document(reading), ensure_ascii=False, indent=2) + "\n"
