"""Runs pattern rules on every incident: the rules that changed, or the ones that are named."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents.errors import ActionError
from incidents.management.progress import bar, quiet_task_log
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.wording import with_noun
from kb.patterns import retagging, vocabulary
from kb.patterns.matcher import shipped_rules
from kb.patterns.tagging import BATCH, RulesMismatch


class Command(BaseCommand):
    help = (
        "Load the vocabulary and run its changed rules on every incident. Workers also do this on their own. "
        "Several processes share the work, and an interrupted run resumes where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("patterns", nargs="*", help="run these rules again even if they have not changed")
        parser.add_argument("--all", action="store_true", help="run every rule again")

    def handle(self, *, patterns: list[str], verbosity: int, **options: Any) -> None:
        known = {rule.slug for rule in shipped_rules().rules}
        if unknown := sorted(set(patterns) - known):
            raise CommandError(f"Unknown or inactive patterns: {', '.join(unknown)}.")
        again = known if options["all"] else set(patterns)
        try:
            with quiet_task_log():
                vocabulary.load(actor=Viewer.system())
                retag = retagging.begin(sorted(again) or None)
                handled = self._work(retag.batches.count() * BATCH) if retag else 0
        except (ActionError, RulesMismatch) as error:
            raise CommandError(str(error)) from error
        if verbosity:
            asked = (
                f"{with_noun(len(retag.patterns), 'rule')} run on {with_noun(handled, 'incident')}"
                if retag
                else "no rules changed"
            )
            self.stdout.write(f"Patterns: {asked}.")

    def _work(self, most: int) -> int:
        with bar("Finding patterns", min(most, Incident.objects.count())) as moving:
            return retagging.work(progress=moving.advance)
