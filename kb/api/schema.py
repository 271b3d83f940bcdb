"""The OpenAPI document, drawn from what each operation says of itself (kb/api/operations.py) and the shapes.

drf-spectacular walks the routes; nothing is guessed from serializers, so what is written here is what is kept.
"""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema

from kb.api import problems
from kb.api.addresses import Name, Reference
from kb.api.operations import Operation, named, operation_of
from kb.api.shapes import COMPONENTS
from kb.api.shapes.parts import ref, text

_VERBS = {"GET": "read", "POST": "create", "PATCH": "change", "PUT": "replace", "DELETE": "delete"}
_PATH: dict[str, dict[str, Any]] = {
    "ref": {
        "schema": {"type": "string", "pattern": f"^(?:{Reference.regex})$"},
        "description": "INC-12, 12 or a UUID.",
    },
    "number": {"schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999}},
    "user_id": {"schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999}},
    "row_id": {"schema": {"type": "string", "format": "uuid"}},
    "link_id": {"schema": {"type": "string", "format": "uuid"}},
    "service_id": {"schema": {"type": "string", "format": "uuid"}},
    "token_id": {"schema": {"type": "string", "format": "uuid"}},
}
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"schema": text(), "description": "What If-Match compares: the version, quoted."},
    "Location": {"schema": {"type": "string", "format": "uri"}, "description": "Where the new thing is."},
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."},
    "WWW-Authenticate": {"schema": text()},
    "Idempotency-Replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "This answer was given before, to the first request with this key.",
    },
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "schema": text(),
        "description": 'The ETag that was read, such as "3"; a list of them; or * for whatever is there.',
        "example": "*",
    },
    "IfMatchOptional": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": text(),
        "description": "Take this step only at this version of the incident.",
        "example": "*",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "description": "Makes the request safe to send again: for 24 hours the same key gives the same answer.",
    },
}
_WAITING = {409, 429, 503}


class Schema(AutoSchema):
    """One operation of the document."""

    @property
    def operation(self) -> Operation:
        found = operation_of(self.view, self.method)
        if found is None:
            raise TypeError(f"{self.method} {self.path} does not say what it is; decorate it with reads or writes")
        return found

    def get_operation_id(self) -> str:
        """Such as incidents_causes_create, incidents_list, incidents_publish: one for each route and method."""
        parts = [part for part in re.sub(r"^/api/v1/", "", self.path).split("/") if not part.startswith("{")]
        names = [part.replace("-", "_") for part in parts]
        if self.method == "GET" and (self.operation.answer or "").endswith("List"):
            return "_".join([*names, "list"])
        if self.method == "POST" and self.operation.status == 200:
            return "_".join(names)
        depth = "_version" if self.path.endswith("{number}") and names == ["templates"] else ""
        return "_".join([*names, _VERBS[self.method]]) + depth

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]
        return ""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_auth(self) -> list[dict[str, list[str]]]:
        stranger: list[dict[str, list[str]]] = [{}]
        signed_in_only = self.method != "GET" or getattr(self.view, "signed_in_only", False)
        return _SECURITY if signed_in_only else [*_SECURITY, *stranger]

    def _get_parameters(self) -> list[dict[str, Any]]:
        operation = self.operation
        out: list[dict[str, Any]] = []
        for name in re.findall(r"{(\w+)}", self.path):
            known = _PATH.get(name, {"schema": {"type": "string", "pattern": f"^{Name.regex}$"}})
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
        shape = named(self.operation.body, self.view) or "Nothing"
        needed = bool(COMPONENTS[shape].get("required"))
        return {"content": {"application/json": {"schema": ref(shape)}}, "required": needed}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        operation = self.operation
        good: dict[str, Any] = {"description": operation.summary, "headers": self._good_headers()}
        if shape := named(operation.answer, self.view):
            good["content"] = {"application/json": {"schema": ref(shape)}}
            good["content"].update({media: {"schema": text()} for media in operation.media})
        there = {"200": {**good, "description": "It is there already."}} if operation.may_exist else {}
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
            # A replayed POST is 404 when what it told about is no longer visible.
            found |= {403, 404, 409, 411, 413, 415}
        if self.operation.precondition:
            found.add(412)
        if self.operation.precondition == "required":
            found.add(428)
        return found


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Post-processing hook: add the shapes, parameters, headers, problem responses and security schemes referred to."""
    components = result.setdefault("components", {})
    components["schemas"] = COMPONENTS
    components["parameters"] = PARAMETERS
    components["headers"] = _HEADERS
    components["responses"] = {str(status): _problem(status) for status in {s for s, _ in problems.CODES.values()}}
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token from /api/v1/tokens or from your account page.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Signed in on the pages; writes also send X-CSRFToken.",
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
