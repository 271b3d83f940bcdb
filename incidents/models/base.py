"""What every addressable object has (a public id, a version that is its ETag, its dates), and lookups of names."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.backends.signals import connection_created
from django.db.models.sql.compiler import SQLCompiler
from django.dispatch import receiver


@models.CharField.register_lookup
class Called(models.Lookup):
    """`name__called`: the same name, ignoring case.

    Compares in lower case, as the constraints on names do: lower and upper case do not always pair up. SQLite's own
    LOWER handles only ASCII.
    """

    lookup_name = "called"
    function = "LOWER"

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        name, parameters = self.process_lhs(compiler, connection)
        value, more = self.process_rhs(compiler, connection)
        return f"{self.function}({name}) = {self.function}({value})", (*parameters, *more)

    def as_sqlite(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        self.function = "lower_in_any_script"
        return self.as_sql(compiler, connection)


@models.CharField.register_lookup
class CalledAny(Called):
    """`name__called_any`: one of these names, ignoring case."""

    lookup_name = "called_any"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        if not self.rhs:
            raise EmptyResultSet
        name, parameters = self.process_lhs(compiler, connection)
        values = ", ".join([f"{self.function}(%s)"] * len(self.rhs))
        return f"{self.function}({name}) IN ({values})", (*parameters, *self.rhs)


@receiver(connection_created)
def _register_lower(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function("lower_in_any_script", 1, str.lower, deterministic=True)


class Versioned(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
