"""Makes an installation ready to serve. Runs before the web and worker processes start."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection

from incidents import template
from incidents.actions.organizations import save_template
from incidents.actions.people import create_first_admin
from incidents.errors import ActionError
from incidents.management.progress import bar, quiet_task_log
from incidents.models import OutboxEntry, User
from incidents.outages import files, loading
from incidents.scopes import Viewer
from kb.command_line import one_line, unreachable
from kb.patterns import tagging, vocabulary
from kb.search import relay


class Command(BaseCommand):
    help = (
        "Make the installation ready to serve: migrate the database, load templates, patterns and famous outages, "
        "index what is new, and on the first start create an admin, whose password is shown once. "
        "Running it again changes nothing."
    )

    def handle(self, *, verbosity: int, **options: Any) -> None:
        self._check_var()
        self._check_database()
        self._empty_broker()
        try:
            with quiet_task_log():
                call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
                self._load(verbosity)
                self._tag_and_index()
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The database returned an error: {one_line(error)}") from error
        except ActionError as error:
            raise CommandError(error.message) from error
        # Everything is indexed by this point, so the nudges sent along the way would wake the worker for nothing.
        self._empty_broker()

    def _check_var(self) -> None:
        try:
            settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
            settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=settings.VAR_DIR):
                pass
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(
                f"{settings.VAR_DIR} cannot be written to ({reason}). Set VAR_DIR to a writable folder."
            ) from error

    def _check_database(self) -> None:
        database: Any = connection
        if connection.vendor == "sqlite" and not database.is_in_memory_db():
            # Other users of this machine must not read drafts, password hashes and sessions.
            file = Path(settings.DATABASES["default"]["NAME"])
            # If this fails, opening the database below fails too, with a better message.
            with suppress(OSError):
                file.touch(mode=0o600)
                file.chmod(0o600)
        if problem := unreachable():
            raise CommandError(problem)

    def _empty_broker(self) -> None:
        """Empty the filesystem broker. It carries only nudges, and those from the last run are stale."""
        if not settings.CELERY_BROKER_URL.startswith("filesystem"):
            return
        options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        for folder in {
            Path(options["data_folder_in"]),
            Path(options["data_folder_out"]),
            Path(options["control_folder"]),
        }:
            folder.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                if file.is_file():
                    file.unlink(missing_ok=True)

    def _load(self, verbosity: int) -> None:
        actor = Viewer.system()
        for definition in template.shipped_definitions():
            save_template(actor=actor, definition=definition)
        self._first_start()
        has_new_patterns = vocabulary.load(actor=actor) > 0
        if has_new_patterns or not loading.is_loaded(files.fingerprint(files.FOLDER)):
            try:
                call_command(
                    "load_outages", verbosity=verbosity, skip_checks=True, stdout=self.stdout, stderr=self.stderr
                )
            except CommandError as error:
                # The lines above name the files. The rest can still be served.
                self.stderr.write(str(error))

    def _first_start(self) -> None:
        if User.objects.filter(is_system=False).exists():
            return
        password = secrets.token_urlsafe(15)
        admin = create_first_admin(
            organization=settings.ORGANIZATION_NAME, team="Engineering", email=settings.ADMIN_EMAIL, password=password
        )
        if admin is not None:
            self.stdout.write(
                f"\n  Sign in as  {admin.email}\n  Password    {password}\n  The password will not be shown again.\n"
            )
            self.stdout.flush()

    def _tag_and_index(self) -> None:
        to_tag = OutboxEntry.objects.filter(consumer=tagging.CONSUMER).values("incident_id").distinct().count()
        if to_tag:
            with bar("Finding patterns", to_tag) as moving:
                tagging.drain(progress=moving.advance)
        waiting = OutboxEntry.objects.values("consumer", "incident_id").distinct().count()
        if waiting:
            with bar("Indexing", waiting) as moving:
                relay.drain(progress=moving.advance)
