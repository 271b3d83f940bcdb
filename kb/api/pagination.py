"""Keyset pagination: a page starts after the last row of the previous one, so inserts and deletes shift nothing.

A cursor is signed together with a digest of its query, and is refused with any other query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict
from rest_framework.request import Request

from incidents.errors import Invalid
from kb.api.parameters import page_size

SALT = "precedent.api.cursor"
LONGEST_CURSOR = 2_000


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by one column or annotation that is never null, then by primary key, both in the same direction."""

    column: str = "pk"
    descending: bool = False
    to_json: Callable[[Any], Any] = lambda value: value
    from_json: Callable[[Any], Any] = lambda value: value


def by_instant(column: str, *, descending: bool) -> Order:
    return Order(column, descending, lambda at: at.isoformat(), datetime.fromisoformat)


def paginate(request: Request, rows: QuerySet[Any], order: Order) -> tuple[list[Any], str | None]:
    """One page of `rows`, and the absolute URL of the next, if any. Raises Invalid naming page_size or cursor."""
    size = page_size(request.query_params)
    columns = ("pk",) if order.column == "pk" else (order.column, "pk")
    if cursor := request.query_params.get("cursor"):
        rows = rows.filter(_after(order, *_read(cursor, request)))
    sign = "-" if order.descending else ""
    found = list(rows.order_by(*(f"{sign}{column}" for column in columns))[: size + 1])
    if len(found) <= size:
        return found, None
    del found[size:]
    return found, _next(request, order, found[-1])


def _after(order: Order, value: Any, pk: Any) -> Q:
    step = "lt" if order.descending else "gt"
    if order.column == "pk":
        return Q(**{f"pk__{step}": pk})
    value = order.from_json(value)
    return Q(**{f"{order.column}__{step}": value}) | Q(**{order.column: value, f"pk__{step}": pk})


def _next(request: Request, order: Order, last: Model) -> str:
    value = None if order.column == "pk" else order.to_json(getattr(last, order.column))
    cursor = signing.dumps([_digest(request), value, last.pk], salt=SALT, compress=True)
    return next_address(request, cursor)


def next_address(request: Request, cursor: str) -> str:
    """The absolute URL of this request with another cursor."""
    parameters: QueryDict = request.query_params.copy()
    parameters["cursor"] = cursor
    return f"{settings.BASE_URL}{request.path}?{parameters.urlencode()}"


def _digest(request: Request) -> str:
    """A digest of what must not change between pages: the path and all parameters except cursor and page_size."""
    query = sorted(
        (name, values) for name, values in request.query_params.lists() if name not in ("cursor", "page_size")
    )
    return hashlib.sha256(json.dumps([request.path, query]).encode()).hexdigest()[:16]


def _read(cursor: str, request: Request) -> tuple[Any, Any]:
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise signing.BadSignature
        of_query, value, pk = signing.loads(cursor, salt=SALT)
    except signing.BadSignature as error:
        raise Invalid({"cursor": BAD_CURSOR}) from error
    if of_query != _digest(request):
        raise Invalid({"cursor": BAD_CURSOR})
    return value, pk


BAD_CURSOR = "This cursor belongs to another query. Leave it out to start at the first page."
