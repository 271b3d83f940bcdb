"""Generates the OpenAPI document from the declared operations (kb/api/operations.py) and the shapes.

drf-spectacular only walks the routes. Nothing is inferred from serializers, so the document says what is enforced.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from drf_spectacular.openapi import AutoSchema

from kb.api import problems
from kb.api.converters import Name, Reference
from kb.api.operations import Operation, operation_of, shape_name
from kb.api.shapes import COMPONENTS
from kb.api.shapes.parts import ref, text

_VERBS = {"GET": "read", "POST": "create", "PATCH": "change", "PUT": "replace", "DELETE": "delete"}
_PATH: dict[str, dict[str, Any]] = {
    "ref": {
        "schema": {"type": "string", "pattern": f"^(?:{Reference.regex})$"},
        "description": "The incident: INC-12, 12 or its UUID.",
    },
    "number": {
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
        "description": "The number of the revision or template version.",
    },
    "user_id": {
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
        "description": "The user's id, as listed among the members.",
    },
    "row_id": {"schema": {"type": "string", "format": "uuid"}, "description": "The row's id."},
    "link_id": {"schema": {"type": "string", "format": "uuid"}, "description": "The link's id."},
    "service_id": {"schema": {"type": "string", "format": "uuid"}, "description": "The service's id."},
    "token_id": {
        "schema": {"type": "string", "format": "uuid"},
        "description": "The token's id; not the token itself.",
    },
}
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"schema": text(), "description": "Send it back as If-Match to change exactly this version."},
    "Location": {"schema": {"type": "string", "format": "uri"}, "description": "URL of the object."},
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "How many seconds to wait before the next attempt.",
    },
    "WWW-Authenticate": {"schema": text(), "description": "How to authenticate, and why a token was refused."},
    "Idempotency-Replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "This response repeats the stored one of the first request with this Idempotency-Key.",
    },
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "schema": text(),
        "description": 'The ETag of the version you read, such as "3"; several ETags; or * for any version.',
        "example": "*",
    },
    "IfMatchOptional": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": text(),
        "description": "Take this step only if the incident still has this ETag.",
        "example": "*",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "description": "Any unique text, such as a UUID. Makes the request safe to retry: for 24 hours, repeating it "
        "with the same key returns the first response and does nothing else.",
    },
}
_OUTCOMES = {200: "Success.", 201: "Created.", 204: "Done. There is no content."}
_WAITING = {409, 429, 503}


class Schema(AutoSchema):
    """One operation of the document."""

    @property
    def operation(self) -> Operation:
        found = operation_of(self.view, self.method)
        if found is None:
            raise TypeError(
                f"{self.method} {self.path} declares no operation; decorate its handler with reads or writes"
            )
        return found

    def get_operation_id(self) -> str:
        """Unique for each route and method, such as incidents_causes_create, incidents_list or incidents_publish."""
        parts = [part for part in re.sub(r"^/api/v1/", "", self.path).split("/") if not part.startswith("{")]
        names = [part.replace("-", "_") for part in parts]
        if self.method == "GET" and (self.operation.answer or "").endswith("List"):
            return "_".join([*names, "list"])
        if self.method == "POST" and self.operation.status == 200:
            return "_".join(names)
        depth = "_version" if self.path.endswith("{number}") and names == ["templates"] else ""
        return "_".join([*names, _VERBS[self.method]]) + depth

    def get_summary(self) -> str:
        return self.operation.summary.format(**getattr(self.view, "words", {}))

    def get_description(self) -> str:  # type: ignore[override]
        return self.operation.description

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_auth(self) -> list[dict[str, list[str]]]:
        anonymous: list[dict[str, list[str]]] = [{}]
        signed_in_only = self.method != "GET" or getattr(self.view, "signed_in_only", False)
        return _SECURITY if signed_in_only else [*_SECURITY, *anonymous]

    def _get_parameters(self) -> list[dict[str, Any]]:
        operation = self.operation
        out: list[dict[str, Any]] = []
        for before, part in pairwise(self.path.split("/")):
            if part.startswith("{"):
                name = part.strip("{}")
                known = _PATH.get(name) or {
                    "schema": {"type": "string", "pattern": f"^{Name.regex}$"},
                    "description": f"The {name} of the {before.removesuffix('s')}.",
                }
                out.append({"name": name, "in": "path", "required": True, **known})
        out += [parameter.openapi() for parameter in operation.query]
        if operation.precondition:
            name = "IfMatch" if operation.precondition == "required" else "IfMatchOptional"
            out.append({"$ref": f"#/components/parameters/{name}"})
        if self.method == "POST" and operation.repeatable:
            out.append({"$ref": "#/components/parameters/IdempotencyKey"})
        return out

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        if self.method not in ("POST", "PUT", "PATCH"):
            return None
        shape = shape_name(self.operation.body, self.view) or "Nothing"
        needed = bool(COMPONENTS[shape].get("required"))
        return {"content": {"application/json": {"schema": ref(shape)}}, "required": needed}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        operation = self.operation
        good: dict[str, Any] = {"description": _OUTCOMES[operation.status], "headers": self._good_headers()}
        if shape := shape_name(operation.answer, self.view):
            good["content"] = {"application/json": {"schema": ref(shape)}}
            good["content"].update({media: {"schema": text()} for media in operation.media})
        there = (
            {"200": {**good, "description": "It already exists. The response holds it."}} if operation.may_exist else {}
        )
        return {
            **there,
            str(operation.status): good,
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(self._refusals())},
        }

    def _good_headers(self) -> dict[str, Any]:
        names = []
        if self.operation.etag:
            names.append("ETag")
        if self.operation.status == 201:
            names.append("Location")
        if self.method == "POST" and self.operation.repeatable:
            names.append("Idempotency-Replayed")
        return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

    def _refusals(self) -> set[int]:
        found = {400, 401, 406, 429, 503}
        if "{" in self.path:
            found.add(404)
        if self.method != "GET":
            # A replayed POST gets 404 when the caller can no longer see the incident in the stored response.
            found |= {403, 404, 409, 411, 413, 415}
        if self.operation.precondition:
            found.add(412)
        if self.operation.precondition == "required":
            found.add(428)
        return found


_TAGS = {
    "incidents": "Incidents and their postmortems: facts, sections, rows, links, patterns, review, history and export.",
    "search": "Full-text search over incidents.",
    "patterns": "The vocabulary of recurring failure patterns, and statistics about them.",
    "organizations": "The organizations that incidents are about.",
    "services": "The services that incidents affect.",
    "teams": "Teams and their members.",
    "templates": "Postmortem templates and their versions.",
    "tokens": "Access tokens.",
    "me": "The current user.",
    "schema": "This document.",
}


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Post-processing hook: add the schemas, parameters, headers, problem responses and security schemes in use."""
    result["tags"] = [{"name": name, "description": description} for name, description in _TAGS.items()]
    components = result.setdefault("components", {})
    components["schemas"] = COMPONENTS
    components["parameters"] = PARAMETERS
    components["headers"] = _HEADERS
    components["responses"] = {str(status): _problem(status) for status in {s for s, _ in problems.CODES.values()}}
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token, created on your account page or with `POST /api/v1/tokens`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The web interface's session. Writes must also send the csrftoken cookie as X-CSRFToken.",
        },
    }
    return result


def _problem(status: int) -> dict[str, Any]:
    codes = {code: title for code, (at, title) in problems.CODES.items() if at == status}
    headers = ["WWW-Authenticate"] if status == 401 else ["Retry-After"] if status in _WAITING else []
    return {
        "description": " ".join(f"{title} (`{code}`)." for code, title in codes.items()),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {problems.MEDIA_TYPE: {"schema": ref("Problem")}},
    }
