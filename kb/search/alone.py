"""One at a time in the whole installation, for work that must not be done twice at once.

The lock lives exactly as long as its holder: a process that is killed gives it back by dying.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import DatabaseError, connection


@contextmanager
def alone(what: str) -> Iterator[bool]:
    """Whether nobody else is at `what`; if so, nobody will be until the block ends."""
    with _in_postgresql(what) if connection.vendor == "postgresql" else _on_this_machine(what) as mine:
        yield mine


@contextmanager
def _in_postgresql(what: str) -> Iterator[bool]:
    """A lock of this connection's session, which the server releases when the connection ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [what])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        # Where the connection is gone, so is the lock.
        with suppress(DatabaseError):
            if mine:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [what])


@contextmanager
def _on_this_machine(what: str) -> Iterator[bool]:
    """SQLite serves one machine, so a file of that machine will do."""
    with (settings.VAR_DIR / f"{what}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
