"""Django's database backend for SQLite, for several threads that write to one file."""

from __future__ import annotations

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection, which closes the cursor of every BEGIN.

    Django leaves it to the garbage collector. If BEGIN fails because another writer holds the lock, the cursor lives on
    in the traceback, and whichever thread collects it has to wait for the connection's mutex. The connection's own
    thread keeps that mutex while it waits for its turn to write: if the collecting thread is the one that is writing,
    each waits for the other, and no other write succeeds, until the wait for the lock times out.
    """

    def _start_transaction_under_autocommit(self) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"BEGIN {self.transaction_mode or ''}")  # type: ignore[attr-defined]
