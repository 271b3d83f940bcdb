"""Invitations and roles: an invitation needs a sender who can still invite, and an admin and a lead always remain."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.db import connection, transaction
from django.utils import timezone

from incidents.actions.lifecycle import submit
from incidents.actions.organizations import set_membership
from incidents.actions.people import (
    accept_invitation,
    authorize_password_reset,
    create_service_account,
    invite,
    reset_password,
    revoke_invitation,
    set_account_access,
)
from incidents.errors import Invalid, Missing, NotAllowed, WrongState
from incidents.models import AuditEntry, Invitation, Membership, User
from incidents.scopes import Viewer

PASSWORD = "a rather long pass phrase"


def join(secret, email="new@acme.example"):
    return accept_invitation(secret=secret, name="New", email=email, password=PASSWORD)


def is_deactivated(cast):
    set_account_access(actor=cast.viewer("admin"), user_id=cast.lead.pk, is_active=False)


def loses_the_lead_role(cast):
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.author, role="lead")
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.lead, role="reader")


@pytest.mark.parametrize("change", [is_deactivated, loses_the_lead_role])
def test_an_invitation_ends_when_its_sender_can_no_longer_invite(cast, change):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout, role="author")
    change(cast)
    with pytest.raises(Missing):
        join(secret)
    assert not User.objects.filter(email="new@acme.example").exists()


def test_an_invitation_as_admin_ends_when_its_sender_is_no_longer_admin(cast):
    _, secret = invite(actor=cast.viewer("admin"), as_admin=True)
    set_account_access(actor=Viewer.system(), user_id=cast.lead.pk, is_admin=True)
    set_account_access(actor=cast.viewer("lead"), user_id=cast.admin.pk, is_admin=False)
    with pytest.raises(Missing):
        join(secret)


def test_an_open_invitation_lets_one_person_in(cast):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout, role="author")
    assert join(secret).memberships.get().role == "author"
    with pytest.raises(Missing):
        join(secret, "other@acme.example")


def test_a_withdrawn_invitation_lets_no_one_in(cast):
    invitation, secret = invite(actor=cast.viewer("lead"), team=cast.checkout)
    revoke_invitation(actor=cast.viewer("lead"), invitation_id=invitation.pk)
    with pytest.raises(Missing):
        join(secret)


def test_an_accepted_invitation_cannot_be_withdrawn(cast):
    invitation, secret = invite(actor=cast.viewer("lead"), team=cast.checkout)
    join(secret)
    with pytest.raises(WrongState, match="just accepted"):
        revoke_invitation(actor=cast.viewer("lead"), invitation_id=invitation.pk)
    assert not AuditEntry.objects.filter(action="invitation.revoked").exists()


def test_withdrawing_an_invitation_twice_is_recorded_once(cast):
    invitation, _ = invite(actor=cast.viewer("lead"), team=cast.checkout)
    for _ in range(2):
        revoke_invitation(actor=cast.viewer("lead"), invitation_id=invitation.pk)
    assert AuditEntry.objects.filter(action="invitation.revoked").count() == 1


def test_an_invitation_works_until_it_expires(cast):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout)
    Invitation.objects.update(expires_at=timezone.now())
    with pytest.raises(Missing, match="has expired"):
        join(secret)
    Invitation.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert join(secret)


def test_an_address_that_is_taken_is_refused_by_field_name(cast):
    _, secret = invite(actor=cast.viewer("admin"))
    with pytest.raises(Invalid) as refused:
        join(secret, "READER@acme.example")
    assert set(refused.value.fields) == {"email"}
    assert join(secret), "the invitation is still open"


def test_a_service_account_does_not_count_as_the_last_admin(cast):
    robot = create_service_account(actor=cast.viewer("admin"), name="Robot", email="robot@acme.example")
    set_account_access(actor=cast.viewer("admin"), user_id=robot.pk, is_admin=True)
    with pytest.raises(Invalid):
        set_account_access(actor=cast.viewer("admin"), user_id=cast.admin.pk, is_admin=False)


@pytest.mark.parametrize("name", ["anonymous", "outsider", "reader", "reviewer", "author", "lead"])
def test_only_admins_create_password_links(cast, name):
    with pytest.raises(NotAllowed):
        authorize_password_reset(actor=cast.viewer(name), user_id=cast.reader.pk)
    assert not AuditEntry.objects.filter(action="user.reset_allowed").exists()


def test_a_password_link_is_only_for_people_and_is_audited(cast):
    assert authorize_password_reset(actor=cast.viewer("admin"), user_id=cast.reader.pk) == cast.reader
    entry = AuditEntry.objects.get(action="user.reset_allowed")
    assert (entry.actor, entry.object_id) == (cast.admin, str(cast.reader.pk))
    robot = create_service_account(actor=cast.viewer("admin"), name="Robot", email="robot@acme.example")
    for nobody in (robot.pk, User.objects.system().pk, 999_999):
        with pytest.raises(Missing):
            authorize_password_reset(actor=cast.viewer("admin"), user_id=nobody)


@pytest.mark.parametrize("role", ["", "boss", "lead\0"])
def test_only_none_removes_a_member_and_an_invalid_role_is_refused(cast, role):
    lead = cast.viewer("lead")
    with pytest.raises(Invalid) as refused:
        set_membership(actor=lead, team_id=cast.checkout.pk, user=cast.reader, role=role)
    assert set(refused.value.fields) == {"role"}
    assert Membership.objects.get(user=cast.reader).role == "reader"
    set_membership(actor=lead, team_id=cast.checkout.pk, user=cast.reader, role=None)
    assert not Membership.objects.filter(user=cast.reader).exists()


def test_a_lead_whose_account_is_closed_does_not_count_as_the_last_lead(cast):
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.author, role="lead")
    set_account_access(actor=cast.viewer("admin"), user_id=cast.author.pk, is_active=False)
    with pytest.raises(Invalid):
        set_membership(actor=cast.viewer("admin"), team_id=cast.checkout.pk, user=cast.lead, role="author")


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_demote_each_other_at_once_one_stays(cast):
    set_account_access(actor=cast.viewer("admin"), user_id=cast.lead.pk, is_admin=True)
    admin, lead = cast.viewer("admin"), cast.viewer("lead")
    refused = []

    def demote_the_admin():
        try:
            set_account_access(actor=lead, user_id=cast.admin.pk, is_admin=False)
        except Invalid as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=demote_the_admin)
    with transaction.atomic():
        set_account_access(actor=admin, user_id=cast.lead.pk, is_admin=False)
        other.start()
        other.join(1)
        assert other.is_alive(), "it waits for this transaction"
    other.join(30)
    assert len(refused) == 1
    assert User.objects.filter(is_admin=True, is_active=True, is_system=False).get() == cast.admin


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_two_concurrent_uses_of_a_password_link_the_second_finds_it_used(cast):
    token = default_token_generator.make_token(cast.reader)
    refused = []

    def use_it_too():
        try:
            reset_password(user_id=cast.reader.pk, token=token, password="the phrase of the second")
        except Missing as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=use_it_too)
    with transaction.atomic():
        reset_password(user_id=cast.reader.pk, token=token, password="the phrase of the first")
        other.start()
        other.join(1)
        assert other.is_alive(), "it waits for this transaction"
    other.join(30)
    assert len(refused) == 1
    assert User.objects.get(pk=cast.reader.pk).check_password("the phrase of the first")


@pytest.mark.parametrize("address", ["rev\u0131ewer@acme.example", "reviewer@acme.f\u0131", "\u017fam@acme.example"])
def test_an_address_that_only_looks_like_another_is_refused(cast, address):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout)
    with pytest.raises(Invalid) as refused:
        join(secret, address)
    assert "ASCII" in refused.value.fields["email"][0]


def test_an_address_finds_its_user_and_nobody_whose_address_looks_like_it(cast, draft):
    """On PostgreSQL, a dotless i in capitals is an I."""
    twin = User.objects.create(email="rev\u0131ewer@acme.example", name="Aaa")
    assert User.objects.get_by_natural_key("Reviewer@acme.example") == cast.reviewer
    incident = submit(actor=cast.viewer("author"), incident_id=draft().pk, reviewers=["REVIEWER@acme.example"])
    assert [one.reviewer for one in incident.reviews.all()] == [cast.reviewer]
    assert list(User.objects.with_address(twin.email)) == [twin]
