"""Callers of the API. Every response is checked against the OpenAPI document: status, headers, media type and body."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve
from jsonschema_rs import Draft202012Validator

from kb.api import throttling, tokens
from kb.api.views.meta import openapi
from tests.conftest import Cast, forget_counts

FRAMEWORK_STATUSES = {404, 405, 415}


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    """Requests of one test do not count against the rate limits of the next."""
    forget_counts()
    throttling.counts = throttling.Counts()


def template_of(path: str) -> str:
    """The OpenAPI path of a URL path, such as /api/v1/incidents/{ref}."""
    return "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", resolve(path).route)


def check_conforms(method: str, path: str, response: HttpResponse) -> None:
    """Assert that the response is one that the document promises."""
    document = openapi()
    operation = document["paths"].get(template_of(path), {}).get(method.lower())
    kind = response.headers.get("Content-Type", "").split(";")[0]
    if path == "/api/v1/docs" and response.status_code == 200:
        return
    assert kind != "text/html", f"{method} {path} answered with HTML"
    if operation is None:
        assert response.status_code in FRAMEWORK_STATUSES | {401, 403, 429}, response.content[:300]
        return
    promised = operation["responses"].get(str(response.status_code))
    assert promised is not None, f"{method} {path}: {response.status_code} is not promised: {response.content[:300]!r}"
    if "$ref" in promised:
        promised = document["components"]["responses"][promised["$ref"].rsplit("/", 1)[1]]
    for name in promised.get("headers", {}):
        if name not in ("Idempotency-Replayed", "Retry-After"):
            assert name in response.headers, f"{method} {path}: {name} is missing"
    if "content" not in promised:
        assert not response.content
        return
    schema = promised["content"][kind]["schema"]
    if kind.endswith("json"):
        error = next(validator(json.dumps(schema)).iter_errors(response.json()), None)
        assert error is None, f"{method} {path}: {error.instance_path}: {error.message[:300]}"


@cache
def validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": openapi()["components"]})


class Caller:
    """Sends JSON as one of the cast. `if_match` and `key` set If-Match and Idempotency-Key."""

    def __init__(self, client: Client, secret: str | None) -> None:
        self.client, self.secret = client, secret

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        if_match: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> HttpResponse:
        path = path if path.startswith(("/", "http")) else f"/api/v1/{path}"
        sent = {
            **({"Authorization": f"Bearer {self.secret}"} if self.secret else {}),
            **({"If-Match": if_match} if if_match is not None else {}),
            **({"Idempotency-Key": key} if key is not None else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"content_type": sent.pop("Content-Type", "application/json")} if method not in ("GET", "HEAD") else {}
        response = self.client.generic(method, path, content, headers=sent, **more)
        if method not in ("HEAD", "OPTIONS"):
            check_conforms(method, urlsplit(path).path, response)
        return response

    def get(self, path: str, **more: Any) -> HttpResponse:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> HttpResponse:
        return self("POST", path, body, **more)

    def patch(self, path: str, body: Any, *, if_match: str | None = "*", **more: Any) -> HttpResponse:
        return self("PATCH", path, body, if_match=if_match, **more)

    def put(self, path: str, body: Any, *, if_match: str | None = "*", **more: Any) -> HttpResponse:
        return self("PUT", path, body, if_match=if_match, **more)

    def delete(self, path: str, *, if_match: str | None = "*", **more: Any) -> HttpResponse:
        return self("DELETE", path, if_match=if_match, **more)


def caller(cast: Cast, name: str, scope: str = "write") -> Caller:
    """A caller with a token of one of the cast; "anonymous" has none."""
    if name == "anonymous":
        return Caller(Client(), None)
    _, secret = tokens.create_token(actor=cast.viewer(name), name="tests", scope=scope)
    return Caller(Client(), secret)


@pytest.fixture
def api(cast: Cast) -> Callable[..., Caller]:
    """api("author") is a caller with the author's token. Each caller is created once."""
    made: dict[tuple[str, str], Caller] = {}

    def get(name: str, scope: str = "write") -> Caller:
        if (name, scope) not in made:
            made[name, scope] = caller(cast, name, scope)
        return made[name, scope]

    return get


def codes(response: HttpResponse) -> tuple[int, str]:
    """(status, code) of a problem."""
    return response.status_code, response.json()["code"]


def fields(response: HttpResponse) -> set[str]:
    """The fields that a problem names."""
    return {error["field"] for error in response.json()["errors"]}
