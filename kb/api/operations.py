"""Declares each operation once, at its handler: the OpenAPI document publishes it and the decorator enforces it.

`reads` and `writes` decorate the methods of views. `writes` validates the body against its shape, runs the handler in
one transaction, and makes a POST with an Idempotency-Key safe to repeat.
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
    """`answer` and `body` name shapes; `{row}` in them stands for the row shape of the view's kind. `summary` can hold
    the placeholders of the view's `words`. `media` lists further media types of the response. `may_exist`: an object
    that already exists is returned with 200 instead of 201."""

    summary: str
    description: str
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
    """The operation of a view for an HTTP method, if it has one."""
    return getattr(getattr(view, method.lower(), None), "operation", None)


def shape_name(shape: str | None, view: Any) -> str | None:
    """A shape's name with `{row}` replaced by the row shape of the view's kind."""
    return shape.format(row=getattr(view, "row_shape", "")) if shape else None


def reads(
    summary: str,
    *,
    description: str = "",
    answer: str | None,
    query: tuple[Parameter, ...] = (),
    etag: bool = False,
    media: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        handler.operation = Operation(  # type: ignore[attr-defined]
            summary, description, answer, query=query, etag=etag, media=media
        )
        return handler

    return decorate


def writes(
    summary: str,
    *,
    description: str = "",
    answer: str | None,
    status: int = 200,
    body: str | None = None,
    precondition: Precondition | None = None,
    repeatable: bool = True,
    may_exist: bool = False,
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """`repeatable` False: responses are never stored for replay, because they contain a secret."""

    def decorate(handler: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(handler)
        def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            view.body = bodies.read(request, shape_name(body, view))

            def work() -> idempotency.WorkResult:
                response = handler(view, request, *args, **kwargs)
                return idempotency.WorkResult(response, view.incident_id)

            if request.method == "POST" and repeatable:
                return idempotency.run_once(request, view.viewer, work)
            with transaction.atomic():
                return work().response

        wrapped.operation = Operation(  # type: ignore[attr-defined]
            summary,
            description,
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
