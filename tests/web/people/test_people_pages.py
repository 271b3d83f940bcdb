"""Signing in, invitations, teams, people: permissions, what is shown to whom, and that secrets stay secret."""

from __future__ import annotations

import logging
import re

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse

from incidents.actions.organizations import create_organization
from incidents.actions.people import invite
from incidents.models import AuditEntry, Invitation, Membership, Team, User
from kb.web.people.forms import PHRASE_HELP, PasswordForm
from kb.web.people.sign_in import lockout_name
from tests.conftest import PASSWORD, session_of
from tests.web.conftest import parsed


@pytest.fixture
def as_(client, cast):
    def sign_in(name):
        if (user := cast.user(name)) is not None:
            client.cookies[settings.SESSION_COOKIE_NAME] = session_of(user)
        return client

    return sign_in


def link_in(response):
    return re.search(r"http://[^<]+/(?:invitations|password)/[^<]+", response.content.decode())[0]


def path_of(link):
    return "/" + link.split("/", 3)[3]


# --- Signing in --------------------------------------------------------------------------------------
def test_users_sign_in_by_address_in_any_case_and_out(client, cast):
    response = client.post("/sign-in", {"username": "Author@ACME.example", "password": PASSWORD})
    assert response.status_code == 302
    assert client.session["_auth_user_id"] == str(cast.author.pk)
    assert client.get("/sign-out").status_code == 405
    client.post("/sign-out")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("address", ["author@acme.example", "nobody@acme.example"])
def test_a_wrong_password_gives_the_same_error_for_any_address(client, cast, address):
    response = client.post("/sign-in", {"username": address, "password": "wrong"})
    assert response.status_code == 200
    assert "do not match" in response.content.decode()


def test_signing_in_is_throttled(client, cast, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post("/sign-in", {"username": "author@acme.example", "password": "wrong"})
    response = client.post("/sign-in", {"username": "author@acme.example", "password": PASSWORD})
    assert response.status_code == 429
    assert "_auth_user_id" not in client.session


def test_another_spelling_of_an_address_gives_no_extra_attempts(client, cast, settings):
    settings.AXES_FAILURE_LIMIT = 4
    for spelling in ("Author@acme.example", " AUTHOR@acme.example ", "author@ACME.example", "\uff41uthor@acme.example"):
        client.post("/sign-in", {"username": spelling, "password": "wrong"})
    response = client.post("/sign-in", {"username": "author@acme.example", "password": PASSWORD})
    assert response.status_code == 429
    assert client.post("/sign-in", {"username": "lead@acme.example", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("spelling", ["Quentin@acme.example", "qUENTIN@ACME.EXAMPLE", "quent\u0131n@acme.example"])
def test_addresses_the_database_considers_equal_are_counted_together(rf, spelling):
    assert lockout_name(rf.post("/"), {"username": spelling}) == "quentin@acme.example"


def test_a_successful_sign_in_clears_the_failures_of_every_spelling(client, cast, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(3):
        client.post("/sign-in", {"username": "Author@acme.example", "password": "wrong"})
        assert client.post("/sign-in", {"username": "AUTHOR@acme.example", "password": PASSWORD}).status_code == 302
        client.post("/sign-out")


def test_a_closed_account_cannot_sign_in(client, cast):
    User.objects.filter(pk=cast.author.pk).update(is_active=False)
    client.post("/sign-in", {"username": "author@acme.example", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_signing_in_redirects_only_within_this_site(client, cast):
    good = {"username": "author@acme.example", "password": PASSWORD}
    assert client.post("/sign-in?next=/teams", {**good, "next": "/teams"}).url == "/teams"
    client.post("/sign-out")
    assert client.post("/sign-in", {**good, "next": "https://evil.example/"}).url == "/"


# --- Who sees which page -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "open_to"),
    [
        ("/account", {"outsider", "reader", "reviewer", "author", "lead", "admin"}),
        ("/account/tokens", {"outsider", "reader", "reviewer", "author", "lead", "admin"}),
        ("/password", {"outsider", "reader", "reviewer", "author", "lead", "admin"}),
        ("/teams", {"outsider", "reader", "reviewer", "author", "lead", "admin"}),
        ("/teams/checkout", {"outsider", "reader", "reviewer", "author", "lead", "admin"}),
        ("/teams/checkout/change", {"lead", "admin"}),
        ("/people", {"admin"}),
        ("/sign-in", {"anonymous"}),
        ("/password/forgotten", {"anonymous", "outsider", "reader", "reviewer", "author", "lead", "admin"}),
    ],
)
def test_pages_open_only_for_their_intended_users(as_, cast, path, open_to):
    for name in cast.NAMES:
        as_("anonymous").logout()
        assert (as_(name).get(path).status_code == 200) == (name in open_to), name


@pytest.mark.parametrize(
    ("path", "sent", "texts"),
    [
        ("/people/invite", {"email": "new@acme.example", "role": "author", "as_admin": "on"}, ["new@acme.example"]),
        ("/people/2", {"make_admin": "1"}, []),
        ("/teams", {"name": "Search", "description": "Finds <b>things</b>"}, ["Search", "Finds <b>things</b>"]),
        ("/teams/checkout/change", {"name": "Till", "base-name": "Checkout"}, ["Till"]),
        ("/teams/checkout/invite", {"email": "new@acme.example", "role": "reader"}, ["new@acme.example"]),
        ("/organizations/acme/edit", {"name": "Acme Ltd"}, ["Acme Ltd"]),
        ("/account", {"name": "Ada"}, ["Ada"]),
    ],
)
def test_a_form_sent_after_the_session_ended_is_given_back(as_, cast, path, sent, texts):
    client = as_("admin")
    client.logout()
    response = client.post(path, sent)
    assert response.status_code == 401
    page = parsed(response)
    assert "You are signed out" in page.text
    assert [field.text.strip() for field in page.all("textarea")] == texts
    assert "here is what you sent" in page.text or not texts


def test_strangers_see_no_names_or_addresses(client, cast, published):
    incident = published(visibility="public")
    for path in ("/", f"/incidents/{incident.ref}", "/search", "/teams", "/teams/checkout", "/people"):
        text = client.get(path, follow=True).content.decode()
        assert "acme.example" not in text, path
        assert "Author" not in text, path


# --- Invitations -------------------------------------------------------------------------------------
def test_a_lead_invites_into_their_team_and_the_invited_person_joins(as_, client, cast):
    response = as_("lead").post("/teams/checkout/invite", {"email": "new@acme.example", "role": "author"})
    path = path_of(link_in(response))
    client.logout()
    page = client.get(path)
    assert "Checkout" in page.content.decode()
    joined = client.post(path, {"name": "New", "password": "a rather long pass phrase", "time_zone": "Europe/Madrid"})
    assert joined.status_code == 302
    user = User.objects.get(email="new@acme.example")
    assert user.time_zone == "Europe/Madrid"
    assert Membership.objects.get(user=user).role == "author"
    assert client.session["_auth_user_id"] == str(user.pk)
    assert client.get(path).status_code == 404, "a link works once"


def test_a_weak_password_is_rejected_at_its_field_and_no_account_is_created(as_, client, cast):
    path = path_of(link_in(as_("lead").post("/teams/checkout/invite", {"email": "new@acme.example", "role": "author"})))
    client.logout()
    assert "data-guess-zone" in client.get(path).content.decode()
    response = client.post(path, {"name": "New", "password": "short", "time_zone": "UTC"})
    # The user chose UTC, so the script must not replace it with the browser's zone.
    assert "data-guess-zone" not in response.content.decode()
    assert "too short" in response.content.decode()
    assert not User.objects.filter(email="new@acme.example").exists()
    assert Invitation.objects.get().accepted_at is None


def test_only_leads_and_admins_invite_into_a_team(as_, cast):
    for name in ("author", "reader", "outsider", "reviewer"):
        response = as_(name).post("/teams/checkout/invite", {"email": "", "role": "lead"})
        assert response.status_code == 403, name
    assert not Invitation.objects.exists()


def test_a_withdrawn_invitation_no_longer_works(as_, client, cast):
    path = path_of(link_in(as_("lead").post("/teams/checkout/invite", {"email": "", "role": "reader"})))
    client.post(reverse("web:revoke-invitation", args=[Invitation.objects.get().pk]), {"team": "checkout"})
    client.logout()
    assert client.get(path).status_code == 404


def test_the_secret_of_an_invitation_is_neither_stored_nor_logged(as_, client, cast, caplog, monkeypatch):
    # The loggers of requests have their own handlers and do not propagate.
    for name in ("django_structlog", "kb", "incidents"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [caplog.handler])
        caplog.set_level(logging.DEBUG, name)
    path = path_of(link_in(as_("lead").post("/teams/checkout/invite", {"email": "", "role": "reader"})))
    client.logout()
    client.get(path)
    secret = path.rsplit("/", 1)[1]
    assert secret not in str(list(Invitation.objects.values())) + str(list(AuditEntry.objects.values()))
    assert "GET /invitations/" in caplog.text
    assert secret not in caplog.text


def test_an_invitation_is_mailed_if_mail_is_set_up(as_, cast, settings):
    settings.EMAIL_URL = "smtp://localhost"
    as_("admin").post("/people/invite", {"email": "new@acme.example", "role": "reader", "team": "checkout"})
    assert mail.outbox[0].to == ["new@acme.example"]
    assert "/invitations/" in mail.outbox[0].body


# --- Teams -------------------------------------------------------------------------------------------
def test_an_admin_creates_a_team(as_, cast):
    made = as_("admin").post("/teams", {"name": "Search and Browse", "description": "Finds things"})
    assert (made.status_code, made.url) == (302, "/teams/search-and-browse")
    team = Team.objects.get(slug="search-and-browse")
    assert (team.name, team.description) == ("Search and Browse", "Finds things")
    assert AuditEntry.objects.filter(action="team.created", actor=cast.admin).exists()


def test_a_lead_adds_changes_and_removes_members(as_, cast):
    client = as_("lead")
    client.post("/teams/checkout/members", {"user": cast.outsider.pk, "role": "reader"})
    assert Membership.objects.get(team=cast.checkout, user=cast.outsider).role == "reader"
    client.post(f"/teams/checkout/members/{cast.outsider.pk}", {"role": "author"})
    assert Membership.objects.get(team=cast.checkout, user=cast.outsider).role == "author"
    client.post(f"/teams/checkout/members/{cast.outsider.pk}", {"remove": "1"})
    assert not Membership.objects.filter(team=cast.checkout, user=cast.outsider).exists()


def test_a_team_keeps_its_last_lead(as_, cast):
    response = as_("lead").post(f"/teams/checkout/members/{cast.lead.pk}", {"remove": "1"}, follow=True)
    assert "A team needs at least one lead" in response.content.decode()
    assert Membership.objects.get(team=cast.checkout, user=cast.lead).role == "lead"


def test_only_leads_and_admins_change_a_team(as_, cast):
    for name in ("author", "reader", "outsider"):
        assert as_(name).post(f"/teams/checkout/members/{cast.reader.pk}", {"role": "lead"}).status_code == 403
    assert Membership.objects.get(team=cast.checkout, user=cast.reader).role == "reader"


# --- People ------------------------------------------------------------------------------------------
def test_closing_an_account_takes_effect_at_once(as_, client, cast):
    other = client.__class__()
    other.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    assert other.get("/account").status_code == 200
    as_("admin").post(f"/people/{cast.author.pk}", {"let_out": "1"})
    assert other.get("/account").status_code == 302


def test_the_last_admin_stays(as_, cast):
    response = as_("admin").post(f"/people/{cast.admin.pk}", {"unmake_admin": "1"}, follow=True)
    assert "There must be at least one admin" in response.content.decode()
    assert User.objects.get(pk=cast.admin.pk).is_admin


def test_a_password_link_works_once(as_, client, cast):
    link = path_of(link_in(as_("admin").post(f"/people/{cast.reader.pk}/reset")))
    client.logout()
    page = client.get(link, follow=True)
    assert PHRASE_HELP in page.content.decode()
    where = page.redirect_chain[-1][0]
    new = "another rather long phrase"
    client.post(where, {"new_password1": new, "new_password2": new})
    assert User.objects.get(pk=cast.reader.pk).check_password(new)
    assert AuditEntry.objects.filter(action="user.password_changed", actor=cast.reader).exists()
    assert "has expired" in client.get(link, follow=True).content.decode()


def test_a_closed_account_gets_no_password_link(as_, cast):
    admin, address = as_("admin"), f"/people/{cast.reader.pk}/reset"
    assert f'action="{address}"' in admin.get("/people").content.decode()
    admin.post(f"/people/{cast.reader.pk}", {"let_out": "1"})
    assert f'action="{address}"' not in admin.get("/people").content.decode()
    response = admin.post(address)
    assert response.status_code == 409
    assert "The account of Reader is closed. Reopen it first." in response.content.decode()
    assert not AuditEntry.objects.filter(action="user.reset_allowed").exists()


def test_a_password_link_ends_when_the_account_is_closed(as_, cast):
    link = path_of(link_in(as_("admin").post(f"/people/{cast.reader.pk}/reset")))
    one = Client()
    where = one.get(link, follow=True).redirect_chain[-1][0]
    as_("admin").post(f"/people/{cast.reader.pk}", {"let_out": "1"})
    new = "another rather long phrase"
    assert "has expired" in one.post(where, {"new_password1": new, "new_password2": new}).content.decode()
    assert "has expired" in Client().get(link, follow=True).content.decode()
    assert not User.objects.get(pk=cast.reader.pk).check_password(new)


def test_a_concurrent_second_use_of_a_password_link_is_rejected(as_, client, cast, monkeypatch):
    link = path_of(link_in(as_("admin").post(f"/people/{cast.reader.pk}/reset")))
    first, second = Client(), Client()
    opened = [one.get(link, follow=True) for one in (first, second)]
    where = opened[0].redirect_chain[-1][0]
    sent = "the phrase of the first", "the phrase of the second"
    answers = []
    is_valid = PasswordForm.is_valid

    def use_the_link_first(form):
        """Use the link after the page has checked it and before the form is read."""
        if not answers:
            answers.append(None)
            answers[0] = first.post(where, {"new_password1": sent[0], "new_password2": sent[0]})
        return is_valid(form)

    monkeypatch.setattr(PasswordForm, "is_valid", use_the_link_first)
    answer = second.post(where, {"new_password1": sent[1], "new_password2": sent[1]})
    assert answers[0].status_code == 302
    assert "This link has expired or was already used" in answer.content.decode()
    assert User.objects.get(pk=cast.reader.pk).check_password(sent[0])
    assert AuditEntry.objects.filter(action="user.password_changed").count() == 1


def test_asking_for_a_reset_gives_the_same_answer_for_any_address(client, cast, settings):
    settings.EMAIL_URL = "smtp://localhost"
    known = client.post("/password/forgotten", {"email": "author@acme.example"}, follow=True)
    unknown = client.post("/password/forgotten", {"email": "nobody@acme.example"}, follow=True)
    assert known.content == unknown.content


def test_changing_the_password_needs_the_current_one_and_ends_other_sessions(as_, client, cast):
    other = client.__class__()
    other.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    new = "another rather long phrase"
    client = as_("author")
    assert PHRASE_HELP in client.get("/password").content.decode()
    wrong = client.post("/password", {"old_password": "no", "new_password1": new, "new_password2": new})
    assert "not your current password" in wrong.content.decode()
    client.post("/password", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert client.get("/account").status_code == 200
    assert other.get("/account").status_code == 302


def test_the_account_keeps_name_and_time_zone(as_, cast):
    client = as_("author")
    client.post("/account", {"name": "  Ada  ", "time_zone": "Asia/Tokyo"})
    user = User.objects.get(pk=cast.author.pk)
    assert (user.name, user.time_zone) == ("Ada", "Asia/Tokyo")
    assert client.post("/account", {"name": "Ada", "time_zone": "Mars/Olympus"}).status_code == 400
    assert User.objects.get(pk=cast.author.pk).time_zone == "Asia/Tokyo"


def test_a_service_account_cannot_sign_in(as_, client, cast):
    as_("admin").post("/people/service-accounts", {"name": "Pager", "email": "pager@acme.example"})
    made = User.objects.get(email="pager@acme.example")
    assert made.is_service_account
    assert not made.has_usable_password()


def test_markup_in_a_name_is_text(as_, cast):
    User.objects.filter(pk=cast.reader.pk).update(name="<script>alert(1)</script>")
    for path in ("/people", "/teams/checkout"):
        assert "<script>alert" not in as_("admin").get(path).content.decode()


def test_an_invitation_for_an_existing_user_is_rejected(cast):
    from incidents.errors import Invalid

    with pytest.raises(Invalid, match="already exists"):
        invite(actor=cast.viewer("admin"), email="author@acme.example")


# --- Organizations -----------------------------------------------------------------------------------
def test_an_organization_without_incidents_can_be_edited_too(as_, cast):
    organization = create_organization(actor=cast.viewer("admin"), name="Initech")
    address = f"/organizations/{organization.slug}"
    assert f'href="{address}">Back' in as_("admin").get(f"{address}/edit").content.decode()
    response = as_("admin").post(f"{address}/edit", {"name": "Initrode"}, follow=True)
    assert (response.status_code, response.redirect_chain[-1][0]) == (200, address)
    assert "Saved." in response.content.decode()
    assert as_("author").get(address).status_code == 404
