"""A lock that spans the whole installation, for work that must not run twice at the same time.

The lock lives exactly as long as its holder: if the process is killed, the lock is released.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import DatabaseError, connection


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Yields whether the lock named `name` was acquired; if so, it is held until the block ends. Never waits."""
    with _advisory_lock(name) if connection.vendor == "postgresql" else _file_lock(name) as is_held:
        yield is_held


@contextmanager
def _advisory_lock(name: str) -> Iterator[bool]:
    """A session-level advisory lock, which the server releases when the connection ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        is_held = bool(cursor.fetchone()[0])
    try:
        yield is_held
    finally:
        # If the connection is gone, so is the lock.
        with suppress(DatabaseError):
            if is_held:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])


@contextmanager
def _file_lock(name: str) -> Iterator[bool]:
    """A file lock, which is enough because SQLite serves a single machine."""
    with (settings.VAR_DIR / f"{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
