"""Runs management commands. A database that cannot be used is reported in one sentence, in place of a traceback."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor


def run(argv: list[str]) -> None:
    """Run a command. Exits with 1 if the database cannot be used; every other error keeps its traceback."""
    # The pool would try for ten seconds to reach a database that is not there, and then not say what is wrong.
    settings.DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
    try:
        execute_from_command_line(argv)
    except (DatabaseError, InterfaceError):
        # Looked up only now, because many commands need no database. A migration that fails is an error of its own.
        problem = unreachable() or (None if argv[1] == "migrate" else unprepared())
        if problem is None or "--traceback" in argv:
            raise
        sys.exit(problem)


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
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return None
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
