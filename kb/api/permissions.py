"""What a caller may do at all, before any question about a certain incident: read, write, or see public things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from kb.api.models import AccessToken, Scope
from kb.api.problems import Refusal

if TYPE_CHECKING:
    # Only a name here: the framework imports this module while it makes its views.
    from rest_framework.views import APIView


class TokenScope(BasePermission):
    """Writing needs somebody signed in, and a token that may write. So does reading, with `signed_in_only`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        reads = request.method in SAFE_METHODS
        if not request.user.is_authenticated and (not reads or getattr(view, "signed_in_only", False)):
            raise NotAuthenticated
        if not reads and isinstance(request.auth, AccessToken) and request.auth.scope != Scope.WRITE:
            raise Refusal(
                "insufficient_scope",
                "Make a token with the scope write for this.",
                {"WWW-Authenticate": 'Bearer realm="Precedent", error="insufficient_scope", scope="write"'},
            )
        return True
