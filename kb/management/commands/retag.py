"""Asks the rules of patterns about every incident: those that changed, or those that are named."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents.errors import ActionError
from incidents.management.progress import bar, without_chatter
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns import retagging, vocabulary
from kb.patterns.matcher import shipped_rules
from kb.patterns.tagging import BATCH, OtherRules


class Command(BaseCommand):
    help = (
        "Load the vocabulary and ask its changed rules about every incident. Workers do the same by themselves; "
        "several of them share the work, and what was interrupted goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("patterns", nargs="*", help="ask these rules again although they have not changed")
        parser.add_argument("--all", action="store_true", help="ask every rule again")

    def handle(self, *, patterns: list[str], verbosity: int, **options: Any) -> None:
        known = {rule.slug for rule in shipped_rules().rules}
        if unknown := sorted(set(patterns) - known):
            raise CommandError(f"There is no pattern {', '.join(unknown)} in use.")
        again = known if options["all"] else set(patterns)
        try:
            with without_chatter():
                vocabulary.load(actor=Viewer.system())
                retag = retagging.begin(sorted(again) or None)
                handled = self._work(retag.batches.count() * BATCH) if retag else 0
        except (ActionError, OtherRules) as error:
            raise CommandError(str(error)) from error
        if verbosity:
            asked = f"{len(retag.patterns)} rules asked about {handled:,} incidents" if retag else "no rule changed"
            self.stdout.write(f"Patterns: {asked}.")

    def _work(self, most: int) -> int:
        with bar("Finding patterns", min(most, Incident.objects.count())) as moving:
            return retagging.work(progress=moving.advance)
