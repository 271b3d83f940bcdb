"""What a caller can do in general, before any check on a particular object: write, read, or read public data only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from kb.api.models import AccessToken, Scope
from kb.api.problems import Refusal

if TYPE_CHECKING:
    # Types only: the framework imports this module while it is defining APIView.
    from rest_framework.views import APIView


class TokenScope(BasePermission):
    """Writes need a signed-in caller, and a token with the scope write. `signed_in_only`: reads need one as well."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        reads = request.method in SAFE_METHODS
        if not request.user.is_authenticated and (not reads or getattr(view, "signed_in_only", False)):
            raise NotAuthenticated
        if not reads and isinstance(request.auth, AccessToken) and request.auth.scope != Scope.WRITE:
            raise Refusal(
                "insufficient_scope",
                "Use a token with the scope write.",
                {"WWW-Authenticate": 'Bearer realm="Precedent", error="insufficient_scope", scope="write"'},
            )
        return True
