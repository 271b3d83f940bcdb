"""Runs management commands. A database that cannot be used is reported in one sentence, in place of a traceback."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.management.base import CommandParser, handle_default_options
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

# The commands that can begin with an empty database.
BEGINNING = ("migrate", "prepare", "test")


def run(argv: list[str]) -> None:
    """Run a command. Exits with 1 if the database cannot be used; every other error keeps its traceback."""
    _choose_settings(argv)
    begins = len(argv) > 1 and argv[1] in BEGINNING
    options = settings.DATABASES["default"].setdefault("OPTIONS", {})
    # The pool would try for ten seconds to reach a database that is not there, and then not say what is wrong.
    options.pop("pool", None)
    if connection.vendor == "sqlite" and not begins:
        options["factory"] = _ExistingFile
    try:
        execute_from_command_line(argv)
    except (DatabaseError, InterfaceError):
        # Looked up only now, because many commands need no database. A migration that fails is an error of its own.
        problem = _no_file() or unreachable() or (None if begins else unprepared())
        if problem is None or "--traceback" in argv:
            raise
        sys.exit(problem)


def _choose_settings(argv: list[str]) -> None:
    """Follow --settings and --pythonpath. Django does so too, but only after the settings were read here."""
    parser = CommandParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--settings")
    parser.add_argument("--pythonpath")
    handle_default_options(parser.parse_known_args(argv[2:])[0])


class _ExistingFile(sqlite3.Connection):
    """A connection that fails if the file does not exist; by default, SQLite would create an empty one."""

    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(f"{Path(database).absolute().as_uri()}?mode=rw", **options)


def unreachable() -> str | None:
    """Why the database cannot be connected to, or None if it can."""
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError) as error:
        return f"The database at {_place()} cannot be used ({one_line(error)}). Check DATABASE_URL and VAR_DIR."
    return None


def unprepared() -> str | None:
    """What to do about a database without the tables of this version, or None if it has them."""
    executor = MigrationExecutor(connection)
    return _not_prepared() if executor.migration_plan(executor.loader.graph.leaf_nodes()) else None


def _no_file() -> str | None:
    """As `unprepared`, for a database file that does not exist."""
    if connection.vendor != "sqlite" or Path(settings.DATABASES["default"]["NAME"]).exists():
        return None
    return _not_prepared()


def _not_prepared() -> str:
    return (
        f"The database at {_place()} is not prepared for this version. Run `manage.py prepare`, or check that "
        "DATABASE_URL and VAR_DIR are those of the server."
    )


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _place() -> str:
    """The file, or the address and name without the password."""
    database = settings.DATABASES["default"]
    if not database.get("HOST"):
        return str(database["NAME"])
    return f"{database['HOST']}:{database.get('PORT') or 5432}/{database['NAME']}"
