"""Invitations and standing: nobody gets in by the word of somebody who left, and somebody is always left to lead."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from incidents.actions.organizations import set_membership
from incidents.actions.people import accept, create_service_account, invite, revoke_invitation, set_standing
from incidents.errors import Invalid, Missing
from incidents.models import User
from incidents.scopes import Viewer

PASSWORD = "a rather long pass phrase"


def join(secret, email="new@acme.example"):
    return accept(secret=secret, name="New", email=email, password=PASSWORD)


def leaves(cast):
    set_standing(actor=cast.viewer("admin"), user_id=cast.lead.pk, is_active=False)


def leads_no_more(cast):
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.author, role="lead")
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.lead, role="reader")


@pytest.mark.parametrize("change", [leaves, leads_no_more])
def test_an_invitation_ends_with_the_standing_of_who_sent_it(cast, change):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout, role="author")
    change(cast)
    with pytest.raises(Missing):
        join(secret)
    assert not User.objects.filter(email="new@acme.example").exists()


def test_an_invitation_to_be_admin_ends_with_the_admin_who_sent_it(cast):
    _, secret = invite(actor=cast.viewer("admin"), as_admin=True)
    set_standing(actor=Viewer.system(), user_id=cast.lead.pk, is_admin=True)
    set_standing(actor=cast.viewer("lead"), user_id=cast.admin.pk, is_admin=False)
    with pytest.raises(Missing):
        join(secret)


def test_an_invitation_that_stands_lets_one_person_in(cast):
    _, secret = invite(actor=cast.viewer("lead"), team=cast.checkout, role="author")
    assert join(secret).memberships.get().role == "author"
    with pytest.raises(Missing):
        join(secret, "other@acme.example")


def test_a_withdrawn_invitation_lets_nobody_in(cast):
    invitation, secret = invite(actor=cast.viewer("lead"), team=cast.checkout)
    revoke_invitation(actor=cast.viewer("lead"), invitation_id=invitation.pk)
    with pytest.raises(Missing):
        join(secret)


def test_an_address_that_is_here_already_is_refused_by_name(cast):
    _, secret = invite(actor=cast.viewer("admin"))
    with pytest.raises(Invalid) as refused:
        join(secret, "READER@acme.example")
    assert set(refused.value.fields) == {"email"}
    assert join(secret), "the invitation is still open"


def test_a_service_account_is_not_the_admin_who_remains(cast):
    robot = create_service_account(actor=cast.viewer("admin"), name="Robot", email="robot@acme.example")
    set_standing(actor=cast.viewer("admin"), user_id=robot.pk, is_admin=True)
    with pytest.raises(Invalid):
        set_standing(actor=cast.viewer("admin"), user_id=cast.admin.pk, is_admin=False)


def test_a_lead_whose_account_was_closed_is_not_the_lead_who_remains(cast):
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.author, role="lead")
    set_standing(actor=cast.viewer("admin"), user_id=cast.author.pk, is_active=False)
    with pytest.raises(Invalid):
        set_membership(actor=cast.viewer("admin"), team_id=cast.checkout.pk, user=cast.lead, role="author")


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_end_each_others_standing_at_once_one_stays(cast):
    set_standing(actor=cast.viewer("admin"), user_id=cast.lead.pk, is_admin=True)
    admin, lead = cast.viewer("admin"), cast.viewer("lead")
    refused = []

    def end_the_admin():
        try:
            set_standing(actor=lead, user_id=cast.admin.pk, is_admin=False)
        except Invalid as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=end_the_admin)
    with transaction.atomic():
        set_standing(actor=admin, user_id=cast.lead.pk, is_admin=False)
        other.start()
        other.join(1)
        assert other.is_alive(), "it waits for what is decided here"
    other.join(30)
    assert len(refused) == 1
    assert User.objects.filter(is_admin=True, is_active=True, is_system=False).get() == cast.admin
