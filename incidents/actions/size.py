"""How much text an incident may hold in all."""

from __future__ import annotations

from functools import cache

from django.db import connection

from incidents.errors import Invalid
from incidents.models import Incident, PostmortemSection
from incidents.records import KINDS
from incidents.text import INCIDENT_BYTES

# The octets of a text in UTF-8. SQLite has a function for it only since 3.43.
_OCTETS = {"postgresql": "OCTET_LENGTH({}::text)", "sqlite": "LENGTH(CAST({} AS BLOB))"}


def check_size(incident: Incident) -> None:
    """Refuse what makes the whole incident larger than it may be. Raises Invalid, naming `incident`."""
    statement, tables = _statement(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statement, [incident.pk] * tables)
        (size,) = cursor.fetchone()
    if size > INCIDENT_BYTES:
        raise Invalid(
            {
                "incident": f"At most {INCIDENT_BYTES // 1024:,} KiB in all; with this it has {size // 1024:,} KiB. "
                "Move logs and long listings to a linked page."
            }
        )


@cache
def _statement(vendor: str) -> tuple[str, int]:
    """One statement that adds up every text of an incident, and how often it wants the incident's id. Every row that is
    saved asks it, so the texts stay in the database."""
    kinds = {
        kind.model: [f.stored_in for f in kind.fields if f.shape in ("string", "strings")] for kind in KINDS.values()
    }
    sums = []
    for model, columns in ({PostmortemSection: ["body"]} | kinds).items():
        quoted = [connection.ops.quote_name(column) for column in columns]
        octets = " + ".join(f"COALESCE({_OCTETS[vendor].format(column)}, 0)" for column in quoted)
        table = connection.ops.quote_name(model._meta.db_table)
        sums.append(f"(SELECT COALESCE(SUM({octets}), 0) FROM {table} WHERE incident_id = %s)")  # noqa: S608 (our names)
    return f"SELECT {' + '.join(sums)}", len(sums)
