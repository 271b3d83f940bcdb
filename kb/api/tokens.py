"""Creates, lists and revokes access tokens. The web interface and the API both write tokens only through here."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from incidents.actions.change import audit
from incidents.errors import Invalid, Missing, NotAllowed
from incidents.models import User
from incidents.scopes import Viewer
from incidents.text import clean, clean_choice
from kb.api.models import AccessToken, Scope

DEFAULT_DAYS, MOST_DAYS = 90, 365
TOKENS_PER_PERSON = 50


def visible_tokens(viewer: Viewer) -> QuerySet[AccessToken]:
    """The viewer's own tokens. Admins also see those of service accounts, which cannot sign in themselves."""
    if not viewer.is_signed_in:
        return AccessToken.objects.none()
    condition = Q(user_id=viewer.user_id)
    if viewer.is_admin:
        condition |= Q(user__is_service_account=True, user__is_system=False)
    return AccessToken.objects.filter(condition).select_related("user")


def create_token(
    *,
    actor: Viewer,
    name: str,
    scope: str = Scope.READ,
    days: int = DEFAULT_DAYS,
    owner: str = "",
    no_later_than: datetime | None = None,
) -> tuple[AccessToken, str]:
    """Returns a new token and its secret, of which only a digest is stored.

    `owner` is the e-mail address of a service account; only admins can set it. `no_later_than` limits the expiry, so
    that a token created with another one does not outlive it. Raises Invalid, NotAllowed.
    """
    name = clean("name", name, max_characters=80, required=True, single_line=True)
    scope = clean_choice("scope", scope, Scope.values) or Scope.READ
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise Invalid({"days": f"This must be a whole number of days from 1 to {MOST_DAYS}."})
    expiry = timedelta(days=days)
    if no_later_than is not None:
        expiry = min(expiry, no_later_than - timezone.now())
    with transaction.atomic():
        user = _owner(actor, owner)
        if AccessToken.objects.filter(user=user, expiry__gt=timezone.now()).count() >= TOKENS_PER_PERSON:
            raise Invalid(
                {"name": f"There can be at most {TOKENS_PER_PERSON} tokens. Revoke one before creating another."}
            )
        token, secret = AccessToken.objects.create(user=user, expiry=expiry, name=name, scope=scope)
        audit(actor, "token.created", token, name=name, scope=scope, owner=user.pk)
    return token, secret


def revoke_token(*, actor: Viewer, token_id: uuid.UUID) -> None:
    """The token stops working with the commit. Raises Missing for tokens that the actor cannot see."""
    with transaction.atomic():
        token = visible_tokens(actor).filter(uuid=token_id).first()
        if token is None:
            raise Missing
        audit(actor, "token.revoked", token, name=token.name, owner=token.user_id)
        token.delete()


def _owner(actor: Viewer, address: str) -> User:
    if actor.user_id is None:
        raise NotAllowed("Sign in to create tokens.")
    if not address:
        return User.objects.get(pk=actor.user_id, is_active=True)
    if not actor.is_admin:
        raise NotAllowed("Only admins can create tokens for service accounts.")
    accounts = User.objects.with_address(clean("owner", address, max_characters=254, single_line=True))
    found = accounts.filter(is_service_account=True, is_system=False, is_active=True).first()
    if found is None:
        raise Invalid({"owner": "There is no service account with this address. Users create their own tokens."})
    return found
