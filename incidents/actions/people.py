"""Actions on users: the first start, invitations, accounts, passwords."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from incidents.actions.change import audit
from incidents.actions.organizations import create_organization, create_team, set_membership
from incidents.errors import Invalid, Missing, NotAllowed, WrongState
from incidents.models import Invitation, Membership, Organization, Team, User
from incidents.scopes import Viewer
from incidents.text import NAME_CHARACTERS, clean, clean_choice
from incidents.vocabulary import Role
from incidents.zones import clean_zone


def create_first_admin(*, organization: str, team: str, email: str, password: str) -> User | None:
    """Create the admin, the home organization, and a team that the admin leads. None when there is a user already."""
    with transaction.atomic():
        system = Viewer.system()
        # A concurrent first start blocks here, then sees that there is a user.
        User.objects.select_for_update().get(pk=system.person_id)
        if User.objects.filter(is_system=False).exists():
            return None
        if not Organization.objects.filter(is_home=True).exists():
            create_organization(actor=system, name=organization, is_home=True)
        admin = User(email=clean_email(email), name="Admin", is_admin=True)
        admin.set_password(password)
        admin.save()
        audit(system, "user.created", admin, admin=True)
        set_membership(actor=system, team_id=create_team(actor=system, name=team).pk, user=admin, role=Role.LEAD)
    return admin


def clean_email(value: Any) -> str:
    text = clean("email", value, max_characters=254, required=True, single_line=True).lower()
    # Django's validator takes a dotless i for an i, so that one person's address could look like another's.
    if not text.isascii():
        raise Invalid({"email": "Enter the address in ASCII: a domain with other letters is written as xn--…"})
    try:
        validate_email(text)
    except ValidationError as error:
        raise Invalid({"email": "Enter a valid e-mail address."}) from error
    return text


def clean_password(password: str, user: User) -> str:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid({"password": list(error.messages)}) from error
    return password


def _save_under_free_address(user: User, taken: str) -> None:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Invalid({"email": taken}) from error


# --- Invitations -----------------------------------------------------------------------------------
def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def invite(
    *,
    actor: Viewer,
    email: str = "",
    team: Team | None = None,
    role: str = Role.AUTHOR,
    as_admin: bool = False,
) -> tuple[Invitation, str]:
    """An invitation and its secret, which is shown once and stored only as a digest. Leads invite to their own team."""
    role = clean_choice("role", role, Role.values) or Role.AUTHOR
    if not _may_invite(actor, team, as_admin):
        raise NotAllowed("Leads can invite people to their own team. Only admins can send other invitations.")
    address = clean_email(email) if email else ""
    if address and User.objects.filter(email=address).exists():
        raise Invalid({"email": "A user with this address already exists. Add them to the team instead."})
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        invitation = Invitation.objects.create(
            email=address,
            team=team,
            role=role,
            as_admin=as_admin,
            digest=digest(secret),
            invited_by_id=actor.person_id,
            expires_at=timezone.now() + timedelta(days=settings.INVITATION_DAYS),
        )
        audit(actor, "invitation.sent", invitation, role=role, team=team.slug if team else None)
    return invitation, secret


def open_invitation(secret: str) -> Invitation:
    """The invitation that this secret opens. Raises Missing when it was used or revoked, or has expired."""
    found = (
        Invitation.objects.filter(
            digest=digest(secret),
            accepted_at__isnull=True,
            revoked_at__isnull=True,
            expires_at__gt=timezone.now(),
        )
        .select_related("team", "invited_by")
        .first()
    )
    # An invitation is valid only while its sender could still send it.
    if found is None or not _may_invite(Viewer.of(found.invited_by), found.team, found.as_admin):
        raise Missing("This invitation was used or withdrawn, or has expired. Ask for a new link.")
    return found


def _may_invite(actor: Viewer, team: Team | None, as_admin: bool) -> bool:
    return actor.is_admin or (not as_admin and team is not None and team.pk in actor.leads)


def accept_invitation(*, secret: str, name: str, email: str, password: str, time_zone: str = "UTC") -> User:
    """Create an account through an invitation. An address in the invitation takes precedence over `email`."""
    with transaction.atomic():
        invitation = open_invitation(secret)
        # Compare-and-set: of two people who use the link at once, only one gets an account.
        still_open = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True, revoked_at__isnull=True)
        if not still_open.update(accepted_at=timezone.now()):
            raise Missing("This invitation was just used or withdrawn. Ask for a new link.")
        address = invitation.email or clean_email(email)
        user = User(
            email=address,
            name=clean("name", name, max_characters=NAME_CHARACTERS, required=True, single_line=True),
            is_admin=invitation.as_admin,
            time_zone=clean_zone("time_zone", time_zone),
        )
        user.set_password(clean_password(password, user))
        _save_under_free_address(user, "A user with this address already exists. Sign in instead.")
        Invitation.objects.filter(pk=invitation.pk).update(accepted_by=user)
        if invitation.team:
            Membership.objects.create(team=invitation.team, user=user, role=invitation.role)
        audit(Viewer.of(user), "user.created", user, invitation=invitation.pk)
    return user


def revoke_invitation(*, actor: Viewer, invitation_id: int) -> Invitation:
    """Disable its link. Raises WrongState when it was accepted before."""
    with transaction.atomic():
        invitation = Invitation.objects.filter(pk=invitation_id).select_related("team").first()
        if invitation is None or not _may_see_invitation(actor, invitation):
            raise Missing
        still_open = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True, revoked_at__isnull=True)
        if still_open.update(revoked_at=timezone.now()):
            audit(actor, "invitation.revoked", invitation)
        elif Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=False).exists():
            raise WrongState(
                "This invitation was just accepted. An admin can close the account, "
                "or a lead can remove the person from the team."
            )
    return invitation


def _may_see_invitation(actor: Viewer, invitation: Invitation) -> bool:
    return actor.is_admin or (invitation.team_id is not None and invitation.team_id in actor.leads)


# --- Accounts --------------------------------------------------------------------------------------
def change_account(*, actor: Viewer, values: Mapping[str, Any]) -> User:
    """Change the actor's own name or time zone."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=actor.person_id)
        if "name" in values:
            user.name = clean("name", values["name"], max_characters=NAME_CHARACTERS, required=True, single_line=True)
        if "time_zone" in values:
            user.time_zone = clean_zone("time_zone", values["time_zone"])
        if values:
            user.save()
            audit(actor, "user.changed", user, fields=sorted(values))
    return user


def set_password(*, actor: Viewer, user: User, password: str) -> None:
    """Set the actor's own password (the page has checked the old one) or, as an admin, anyone's."""
    if actor.user_id != user.pk and not actor.is_admin:
        raise NotAllowed("You can change only your own password.")
    with transaction.atomic():
        user.set_password(clean_password(password, user))
        user.save(update_fields=["password"])
        audit(actor, "user.password_changed", user)


def reset_password(*, user_id: int, token: str, password: str) -> None:
    """Set a password through a one-time link that carries `token`. Raises Missing when it was used or has expired, and
    while the account is closed."""
    with transaction.atomic():
        # Two concurrent requests: the second blocks here, then sees that the link was already used.
        user = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).first()
        if user is None or not default_token_generator.check_token(user, token):
            raise Missing("This link was already used or has expired. Ask for a new one.")
        set_password(actor=Viewer.of(user), user=user, password=password)


def authorize_password_reset(*, actor: Viewer, user_id: int) -> User:
    """The user for whom an admin creates a one-time password link. Writes an audit entry about it.

    Raises WrongState for a closed account, whose link would not work.
    """
    if not actor.is_admin:
        raise NotAllowed("Only admins can create password links.")
    with transaction.atomic():
        user = User.objects.filter(pk=user_id, is_system=False, is_service_account=False).first()
        if user is None:
            raise Missing
        if not user.is_active:
            raise WrongState(f"The account of {user.name} is closed. Reopen it first.")
        audit(actor, "user.reset_allowed", user)
    return user


def set_account_access(
    *, actor: Viewer, user_id: int, is_active: bool | None = None, is_admin: bool | None = None
) -> User:
    """As an admin, open or close an account, or change who is admin. At least one active admin remains."""
    if not actor.is_admin:
        raise NotAllowed("Only admins can change this.")
    with transaction.atomic():
        # Lock all admins, in one order: two admins who remove each other at once must not both find one left.
        list(User.objects.select_for_update(no_key=True).filter(is_admin=True).order_by("pk"))
        user = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_system=False).first()
        if user is None:
            raise Missing
        if is_active is not None:
            user.is_active = is_active
        if is_admin is not None:
            user.is_admin = is_admin
        user.save()
        # A service account does not count: it cannot sign in to open an account again.
        people = User.objects.filter(is_system=False, is_service_account=False)
        if not people.filter(is_admin=True, is_active=True).exists():
            raise Invalid({"user": "There must be at least one admin. Make someone else an admin first."})
        audit(actor, "user.standing", user, active=user.is_active, admin=user.is_admin)
    return user


def create_service_account(*, actor: Viewer, name: str, email: str) -> User:
    """Create an account for a tool. It holds tokens and cannot sign in."""
    if not actor.is_admin:
        raise NotAllowed("Only admins can create service accounts.")
    with transaction.atomic():
        address = clean_email(email)
        user = User(
            email=address,
            name=clean("name", name, max_characters=NAME_CHARACTERS, required=True, single_line=True),
            is_service_account=True,
        )
        user.set_unusable_password()
        _save_under_free_address(user, "This address is taken. Choose another.")
        audit(actor, "user.created", user, service_account=True)
    return user
