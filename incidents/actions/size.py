"""Limits the total text of an incident."""

from __future__ import annotations

from functools import cache

from django.db import connection

from incidents.errors import Invalid
from incidents.models import Incident, PostmortemSection
from incidents.records import KINDS
from incidents.text import INCIDENT_BYTES

# The length of a text in UTF-8 bytes. SQLite has OCTET_LENGTH only since 3.43.
_OCTETS = {"postgresql": "OCTET_LENGTH({}::text)", "sqlite": "LENGTH(CAST({} AS BLOB))"}


def check_size(incident: Incident) -> None:
    """Raise Invalid, naming `incident`, when the incident's total text exceeds the limit."""
    statement, tables = _statement(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statement, [incident.pk] * tables)
        (size,) = cursor.fetchone()
    if size > INCIDENT_BYTES:
        raise Invalid(
            {
                "incident": f"An incident can have at most {INCIDENT_BYTES // 1024:,} KiB; "
                f"this one would have {size // 1024:,} KiB. Move logs and long listings to a linked page."
            }
        )


@cache
def _statement(vendor: str) -> tuple[str, int]:
    """The statement that sums the size of an incident's texts, and how many times it takes the incident's id. It runs
    on every save, so it sums in the database instead of fetching the texts."""
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
