"""Permanently removes deleted incidents from the database."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from incidents.actions.purge import purge
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.wording import with_noun


class Command(BaseCommand):
    help = (
        "Permanently remove incidents that were deleted some time ago, with everything in them. "
        "Their audit entries are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than-days",
            type=int,
            default=30,
            metavar="DAYS",
            help="remove only what was deleted more than this many days ago; %(default)s by default",
        )
        parser.add_argument("--dry-run", action="store_true", help="list them without removing anything")

    def handle(self, *, older_than_days: int, dry_run: bool, verbosity: int, **options: Any) -> None:
        if not 0 <= older_than_days <= 36_500:
            raise CommandError("--older-than-days must be between 0 and 36500.", returncode=2)
        before = timezone.now() - timedelta(days=older_than_days)
        if dry_run:
            due = Incident.objects.filter(deleted_at__lt=before).order_by("pk")
            for incident in due:
                self.stdout.write(f"{incident.ref} {incident.title}, deleted {incident.deleted_at:%Y-%m-%d}")
            count = len(due)
        else:
            count = purge(actor=Viewer.system(), deleted_before=before)
        if verbosity:
            self.stdout.write(f"{with_noun(count, 'incident')} {'would be ' if dry_run else ''}removed.")
