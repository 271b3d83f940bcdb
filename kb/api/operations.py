"""What each operation of the API is, said once beside its handler: the OpenAPI document shows it, the handler keeps it.

`reads` and `writes` decorate the methods of views. What is written is checked against its shape, the work runs in one
transaction, and a POST may be sent again with an Idempotency-Key.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from kb.api import bodies, idempotency
from kb.api.parameters import Parameter

Handler = TypeVar("Handler", bound=Callable[..., HttpResponse])
Precondition = Literal["required", "optional"]


@dataclass(frozen=True, slots=True)
class Operation:
    """`answer` and `body` name shapes; `{row}` in them stands for the row of the view's kind. `media` are other types
    that it can answer in. `may_exist`: what is there already is answered as if it were new, but with 200."""

    summary: str
    answer: str | None
    status: int = 200
    body: str | None = None
    query: tuple[Parameter, ...] = ()
    etag: bool = False
    precondition: Precondition | None = None
    repeatable: bool = False
    media: tuple[str, ...] = ()
    may_exist: bool = False


def operation_of(view: Any, method: str) -> Operation | None:
    """The operation that a view carries out for a method."""
    return getattr(getattr(view, method.lower(), None), "operation", None)


def named(shape: str | None, view: Any) -> str | None:
    """A shape's name with the row of the view's kind filled in."""
    return shape.format(row=getattr(view, "row_shape", "")) if shape else None


def reads(
    summary: str,
    *,
    answer: str | None,
    query: tuple[Parameter, ...] = (),
    etag: bool = False,
    media: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        handler.operation = Operation(summary, answer, query=query, etag=etag, media=media)  # type: ignore[attr-defined]
        return handler

    return decorate


def writes(
    summary: str,
    *,
    answer: str | None,
    status: int = 200,
    body: str | None = None,
    precondition: Precondition | None = None,
    repeatable: bool = True,
    may_exist: bool = False,
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """`repeatable` False: answers are never kept, because they hold a secret."""

    def decorate(handler: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(handler)
        def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            view.body = bodies.read(request, named(body, view))

            def work() -> idempotency.Work:
                response = handler(view, request, *args, **kwargs)
                return idempotency.Work(response, view.incident_id)

            if request.method == "POST" and repeatable:
                return idempotency.once(request, view.viewer, work)
            with transaction.atomic():
                return work().response

        wrapped.operation = Operation(  # type: ignore[attr-defined]
            summary,
            answer,
            status=status,
            body=body,
            precondition=precondition,
            etag=answer is not None,
            repeatable=repeatable,
            may_exist=may_exist,
        )
        return wrapped

    return decorate
