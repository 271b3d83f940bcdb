"""The caller and their access tokens."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from incidents.errors import Missing, Stale
from incidents.models import Membership, User
from kb.api import etags, tokens
from kb.api.base import ApiView, answer, no_content, page
from kb.api.models import AccessToken, Scope
from kb.api.operations import reads, writes
from kb.api.pagination import by_instant, paginate
from kb.api.parameters import PAGING


class Me(ApiView):
    signed_in_only = True

    @reads(
        "Get the current user", description="Returns who the caller is and what they can do.", answer="Me", etag=True
    )
    def get(self, request: Request) -> Response:
        user = request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        memberships = Membership.objects.filter(user=user).select_related("team").order_by("team__name")
        body = {
            "id": user.pk,
            "name": user.name,
            "email": user.email,
            "time_zone": user.time_zone,
            "is_admin": user.is_admin,
            "is_service_account": user.is_service_account,
            "teams": [{"name": m.team.name, "slug": m.team.slug, "role": m.role} for m in memberships],
            "scope": request.auth.scope if isinstance(request.auth, AccessToken) else Scope.WRITE.value,
        }
        return answer(body, etag=etags.of_content(body))


class TokenView(ApiView):
    """A token is created and revoked but never changed, so its version is always 1."""

    signed_in_only = True
    tag = etags.of_version(1)

    def represent(self, token: AccessToken) -> dict[str, Any]:
        return {
            "id": str(token.uuid),
            "url": self.address("token", token_id=token.uuid),
            "name": token.name,
            "scope": token.scope,
            "owner": token.user.email,
            "created_at": token.created.isoformat(),
            "expires_at": token.expiry.isoformat() if token.expiry else None,
            "last_used": token.last_used.isoformat() if token.last_used else None,
        }


class Tokens(TokenView):
    @reads(
        "List access tokens",
        description="Lists your own tokens, newest first. Admins also see those of service accounts.",
        answer="TokenList",
        query=PAGING,
    )
    def get(self, request: Request) -> Response:
        order = by_instant("created", descending=True)
        found, next_address = paginate(request, tokens.visible_tokens(self.viewer), order)
        return page([self.represent(token) for token in found], next_address)

    @writes(
        "Create an access token",
        description="The token itself is in this response and is never shown again. A token that is created with "
        "another token expires no later than that one.",
        body="TokenCreate",
        answer="NewToken",
        status=201,
        repeatable=False,
    )
    def post(self, request: Request) -> Response:
        token, secret = tokens.create_token(
            actor=self.viewer,
            name=self.body["name"],
            scope=self.body.get("scope", Scope.READ.value),
            days=self.body.get("days", tokens.DEFAULT_DAYS),
            owner=self.body.get("owner") or "",
            no_later_than=request.auth.expiry if isinstance(request.auth, AccessToken) else None,
        )
        body = self.represent(token)
        # The response contains a secret, so no cache may store it.
        response = answer({**body, "token": secret}, etag=self.tag, status=201, location=body["url"])
        response["Cache-Control"] = "no-store"
        return response


class Token(TokenView):
    def find(self, token_id: uuid.UUID) -> AccessToken:
        found = tokens.visible_tokens(self.viewer).filter(uuid=token_id).first()
        if found is None:
            raise Missing
        return found

    @reads("Get an access token", description="Never includes the token itself.", answer="Token", etag=True)
    def get(self, request: Request, token_id: uuid.UUID) -> Response:
        return answer(self.represent(self.find(token_id)), etag=self.tag)

    @writes(
        "Revoke an access token",
        description="The token stops working immediately.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, token_id: uuid.UUID) -> Response:
        token = self.find(token_id)
        if self.condition().expected(1) == etags.NEVER:
            raise Stale(1)
        tokens.revoke_token(actor=self.viewer, token_id=token.uuid)
        return no_content()
