"""Measures how well the rules find the patterns that people found in labeled incidents."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from incidents.errors import ActionError
from kb.patterns import evaluation
from kb.patterns.evaluation import Counts, Evaluation, Labelled
from kb.patterns.matcher import shipped_rules
from kb.patterns.models import TagState


class Command(BaseCommand):
    help = (
        "Print precision, recall and F1 of the rules on labeled incidents, by default the famous outages. Curators' "
        "tags are the labels and never count as predictions. Tune rules on the development half only."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--labels", type=Path, help="a YAML file that maps outage ids, or ids like INC-12, to lists of patterns"
        )
        parser.add_argument("--text-only", action="store_true", help="ignore families of causes and other fields")
        parser.add_argument(
            "--misses", action="store_true", help="list the wrong and missed patterns of the development half"
        )

    def handle(self, *, labels: Path | None, text_only: bool, misses: bool, **options: Any) -> None:
        # A fixed width, so that tables come out the same when redirected to a file.
        self.console = Console(file=cast("IO[str]", self.stdout), width=120)
        try:
            labelled = evaluation.read_labels(labels) if labels else evaluation.labelled_outages()
        except ActionError as error:
            raise CommandError(error.message) from error
        if not labelled:
            raise CommandError("There are no labeled incidents.")
        found = evaluation.predictions(shipped_rules(), labelled, text_only=text_only)
        halves = {
            "development": [one for one in labelled if not one.is_held_out],
            "held out": [one for one in labelled if one.is_held_out],
        }
        evaluations = {name: evaluation.evaluate(half, found) for name, half in halves.items() if half}
        self._patterns(evaluations)
        automatic = {
            pk: [slug for slug, state in states.items() if state == TagState.AUTOMATIC] for pk, states in found.items()
        }
        self._summary("suggested or automatic", evaluations)
        self._summary(
            "automatic only", {name: evaluation.evaluate(half, automatic) for name, half in halves.items() if half}
        )
        if misses:
            self._misses(halves["development"], found)

    def _patterns(self, evaluations: Mapping[str, Evaluation]) -> None:
        table = Table(title="Suggested or automatic, by pattern")
        table.add_column("pattern", no_wrap=True)
        for name in evaluations:
            # The name of the half heads only its first column.
            for place, column in enumerate(("support", "precision", "recall", "F1")):
                table.add_column(f"{'' if place else name}\n{column}", justify="right")
        for slug in sorted({slug for one in evaluations.values() for slug in one.by_pattern}):
            cells: list[str] = []
            for one in evaluations.values():
                counts = one.by_pattern.get(slug, Counts())
                cells += [str(counts.support), *map(_share, (counts.precision, counts.recall, counts.f1))]
            table.add_row(slug, *cells)
        self.console.print(table)

    def _summary(self, what: str, evaluations: Mapping[str, Evaluation]) -> None:
        table = Table(
            "half", title=f"All patterns together, {what}; 95% intervals from {evaluation.RESAMPLES:,} resamples"
        )
        for column in ("incidents", "labels", "precision", "recall", "micro F1", "macro F1"):
            table.add_column(column, justify="right")
        for name, one in evaluations.items():
            estimates = [
                f"{e.value:.3f}\n{e.low:.3f} to {e.high:.3f}"
                for e in (one.estimates[figure] for figure in ("precision", "recall", "micro F1", "macro F1"))
            ]
            table.add_row(name, str(one.incidents), str(one.micro.support), *estimates)
        self.console.print(table)

    def _misses(self, half: list[Labelled], found: Mapping[str, Mapping[str, TagState]]) -> None:
        for one in half:
            wrong, missed = sorted(found[one.id].keys() - one.patterns), sorted(one.patterns - found[one.id].keys())
            if wrong or missed:
                self.console.print(
                    f"{one.id}: wrong: {', '.join(wrong) or 'none'}; missed: {', '.join(missed) or 'none'}"
                )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
