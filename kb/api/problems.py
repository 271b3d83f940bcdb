"""Turns every error of the API into application/problem+json (RFC 9457) with a stable `code`. Never HTML.

CODES is the complete list. The exception handler and the OpenAPI document use it, and docs/api.md lists every code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from incidents.errors import ActionError, Incomplete, Invalid, Missing, NotAllowed, Stale, WrongState, refusal_of

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
# Errors reported at once: more than anyone would fix in one go.
MOST_PROBLEMS = 50
# Finding the nearest known name is slow: this many unknown names are reported, cut to this length.
MOST_UNKNOWN, LONGEST_NAME = 20, 100

# code: (status, title). Codes can be added, but are never renamed.
CODES: dict[str, tuple[int, str]] = {
    "invalid": (400, "The request is not valid"),
    "unknown_field": (400, "Unknown field"),
    "unknown_parameter": (400, "Unknown query parameter"),
    "malformed_json": (400, "The body is not valid JSON"),
    "not_authenticated": (401, "Authentication is required"),
    "invalid_token": (401, "The access token is not valid"),
    "token_expired": (401, "The access token has expired"),
    "inactive_account": (401, "The account is not active"),
    "not_allowed": (403, "You are not allowed to do this"),
    "insufficient_scope": (403, "The access token is read-only"),
    "csrf_failed": (403, "The CSRF check failed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "not_acceptable": (406, "None of the accepted media types is available"),
    "wrong_state": (409, "Not possible in the current state"),
    "incomplete": (409, "Not ready to publish"),
    "idempotency_key_reused": (409, "This Idempotency-Key was used for a different request"),
    "idempotency_in_progress": (409, "The first request with this Idempotency-Key is still in progress"),
    "length_required": (411, "Content-Length is required"),
    "stale": (412, "Changed since you read it"),
    "too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "precondition_required": (428, "If-Match is required"),
    "throttled": (429, "Too many requests"),
    "internal": (500, "Internal error"),
    "unavailable": (503, "Temporarily unavailable"),
}
_STATUS_CODES = {
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
}


@dataclass(eq=False)
class Refusal(Exception):
    """An error that the API itself raises, independent of the actions. `code` is a key of CODES."""

    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return CODES[self.code][0]


class Unknown(Invalid):
    """Unknown fields or query parameters."""

    def __init__(self, code: str, fields: Mapping[str, str]) -> None:
        super().__init__(fields)
        self.code = code


def unknown(kind: str, names: Iterable[str], known: Iterable[str], *, path: str = "") -> Unknown:
    """An error that names each unknown name and the nearest known one. `kind` is "field" or "parameter"."""
    known = sorted(known)
    texts = {}
    for name in [name[:LONGEST_NAME] for name in names][:MOST_UNKNOWN]:
        near = difflib.get_close_matches(name, known, n=1)
        rest = f" Known ones are {', '.join(known)}." if known else ""
        texts[f"{path}{name}"] = f"Unknown {kind}." + (f" Did you mean {near[0]}?" if near else rest)
    return Unknown(f"unknown_{kind}", texts)


def too_large() -> Refusal:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024 // 1024
    return Refusal("too_large", f"A body can have at most {most} MiB.")


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The response to any exception of a view. Unexpected ones are logged and the response says nothing about them."""
    if refusal := refusal_of(exc):
        return _refused_by_action(refusal)
    if isinstance(exc, RequestDataTooBig):
        exc = too_large()
    if isinstance(exc, Refusal):
        return problem(exc.code, exc.detail, headers=exc.headers)
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.APIException):
        return _refused_by_framework(exc)
    if isinstance(exc, SuspiciousOperation):
        return problem("invalid", "The request cannot be read.")
    if isinstance(exc, OperationalError):
        log.exception("api.database_unavailable")
        return problem(
            "unavailable", "The database is not responding. Try again in a few seconds.", headers={"Retry-After": "5"}
        )
    request = context.get("request")
    log.exception("api.failed", method=getattr(request, "method", None), path=getattr(request, "path", None))
    return problem("internal", "The error was logged. Try again, and tell an admin if it keeps happening.")


def problem(
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, list[str]] | None = None,
    **more: Any,
) -> Response:
    status, title = CODES[code]
    body: dict[str, Any] = {
        "type": f"urn:precedent:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if fields:
        body["errors"] = [
            {"field": name, "code": code, "message": text} for name, texts in fields.items() for text in texts
        ]
    return Response({**body, **more}, status=status, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def _refused_by_action(exc: ActionError) -> Response:
    match exc:
        case Invalid():
            first = Invalid(dict(islice(exc.fields.items(), MOST_PROBLEMS)))
            return problem(exc.code, first.message, fields=first.fields)
        case Stale():
            fields = {exc.field: [exc.message]} if exc.field else None
            return problem("stale", exc.message, fields=fields, current_version=exc.current_version)
        case Incomplete():
            return problem("incomplete", exc.message, missing=exc.missing)
        case Missing() | NotAllowed() | WrongState():
            return problem(exc.code, exc.message)
    raise TypeError(f"{type(exc).__name__} does not map to a problem code")


def _refused_by_framework(exc: exceptions.APIException) -> Response:
    code = exc.get_codes()
    if isinstance(code, str) and code == exceptions.AuthenticationFailed.default_code:
        code = "invalid_token"
    elif not isinstance(code, str) or code not in CODES:
        code = _STATUS_CODES.get(exc.status_code, "invalid")
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        error = f' error="invalid_token", error_description="{CODES[code][1]}"' if code != "not_authenticated" else ""
        headers["WWW-Authenticate"] = f'{challenge} realm="Precedent"' + (f",{error}" if error else "")
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    return problem(code, _words(code, exc), headers=headers)


def _words(code: str, exc: exceptions.APIException) -> str:
    match code:
        case "not_found":
            return Missing().message
        case "not_authenticated":
            return "Send an access token as Authorization: Bearer <token>, or sign in."
        case "throttled":
            return "Wait for the number of seconds in Retry-After, then try again."
        case "not_acceptable":
            return "Responses are JSON. Send Accept: application/json, or leave the header out."
        case "unsupported_media_type":
            return "Send JSON in UTF-8, with Content-Type: application/json."
        case "method_not_allowed":
            return "The Allow header lists the methods of this URL."
    return str(exc.detail) if isinstance(exc.detail, str) else HTTPStatus(exc.status_code).phrase
