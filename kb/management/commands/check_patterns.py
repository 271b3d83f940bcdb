"""Checks the pattern files: their format, and each rule against its own test sentences. Needs no database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from incidents.management.arguments import check_readable
from incidents.wording import with_noun
from kb.patterns import rules
from kb.patterns.matcher import Rules, match


class Command(BaseCommand):
    help = "Check the pattern files and print one line per problem. Exits with code 1 if there is any problem."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", type=Path, default=rules.FOLDER, help="the folder of pattern files")

    def handle(self, *, path: Path, **options: Any) -> None:
        check_readable(path)
        try:
            definitions = rules.read(path)
        except rules.BadRules as error:
            for problem in error.problems:
                self.stdout.write(str(problem))
            raise CommandError(f"{with_noun(len(error.problems), 'problem')} found.", returncode=1) from error
        found = [problem for definition in definitions for problem in wrong_sentences(definition)]
        for problem in found:
            self.stdout.write(str(problem))
        if found:
            raise CommandError(
                f"{with_noun(len(found), 'problem')} found in {with_noun(len(definitions), 'file')}.", returncode=1
            )
        self.stdout.write(f"{with_noun(len(definitions), 'file')} checked, no problems found.")


def wrong_sentences(definition: rules.Definition) -> list[rules.Problem]:
    """A problem for each test sentence that the rule judges wrongly. Each sentence is read as a cause."""
    alone = Rules([definition.rule])
    file = f"{definition.slug}.yaml"
    wanted = [("positive", sentence, True) for sentence in definition.positive]
    wanted += [("near_miss", sentence, False) for sentence in definition.near_misses]
    return [
        rules.Problem(
            file,
            f"sentences.{kind}",
            f"“{sentence}” {'does not match, but should' if is_positive else 'matches, but should not'}",
        )
        for kind, sentence, is_positive in wanted
        if bool(match(alone, {"causes": sentence})) is not is_positive
    ]
