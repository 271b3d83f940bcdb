"""Invalid input: status 400, an error at its field, and nothing saved."""

from __future__ import annotations

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from incidents.actions import people
from incidents.actions.organizations import create_team, delete_team
from incidents.actions.people import accept_invitation, invite
from incidents.models import AuditEntry, Invitation, Membership, User
from tests.conftest import PASSWORD
from tests.web.conftest import parsed

NEW = "another rather long phrase"
FORMS = {
    "/sign-in": ("anonymous", {"username": "author@acme.example", "password": PASSWORD}),
    "/password/forgotten": ("anonymous", {"email": "author@acme.example"}),
    "/password": ("author", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}),
    "/account": ("author", {"name": "Ada", "time_zone": "UTC"}),
    "/people/invite": ("admin", {"email": "new@acme.example", "team": "checkout", "role": "reader"}),
    "/people/service-accounts": ("admin", {"name": "Pager", "email": "pager@acme.example"}),
    "/teams": ("admin", {"name": "Search", "description": "Finds things"}),
    "/teams/checkout/change": ("lead", {"name": "Till", "description": "Pays"}),
    "/teams/checkout/invite": ("lead", {"email": "new@acme.example", "role": "reader"}),
    "/teams/checkout/members": ("lead", {"user": "1", "role": "reader"}),
    "/organizations/acme/edit": ("admin", {"name": "Acme", "website": "https://acme.example", "sector": "retail"}),
}


@pytest.fixture(autouse=True)
def _there_is_mail(settings):
    """Without mail, the page for a forgotten password has no form."""
    settings.EMAIL_URL = "smtp://localhost"


def errors_at(response, name):
    """The errors of one field, found by its aria-describedby."""
    page = parsed(response)
    [refused] = [
        one for one in page.elements if one.attributes.get("name") == name and "aria-invalid" in one.attributes
    ]
    told = [one for one in page.elements if one.attributes.get("id") in refused.attributes["aria-describedby"].split()]
    return " ".join(one.text for one in told if one.attributes["id"].endswith("_error"))


def test_a_file_is_neither_kept_nor_read(client, db):
    """Whoever sends one is not known yet when the form is read."""
    large = SimpleUploadedFile("large.bin", b"x" * 5 * 1024 * 1024)
    response = client.post("/sign-in", {"username": "a@b.example", "file": large})
    assert response.wsgi_request.FILES == {}
    left = response.wsgi_request.environ["wsgi.input"].read()
    assert len(left) > 4 * 1024 * 1024


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, (_, sent) in FORMS.items() for field in sent])
def test_a_nul_is_rejected_at_its_field(browser, cast, path, field):
    name, sent = FORMS[path]
    before = AuditEntry.objects.count()
    response = browser(name).post(path, {**sent, field: f"{sent[field]}\0"})
    assert response.status_code == 400
    assert errors_at(response, field)
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("path", FORMS)
def test_an_empty_form_is_rejected(browser, cast, path):
    assert browser(FORMS[path][0]).post(path).status_code == 400


@pytest.mark.parametrize("field", ["name", "email", "password", "time_zone"])
def test_an_invitation_is_not_accepted_with_a_nul(client, cast, field):
    _, secret = invite(actor=cast.viewer("admin"))
    joining = {"name": "New", "email": "new@acme.example", "password": NEW, "time_zone": "UTC"}
    response = client.post(f"/invitations/{secret}", {**joining, field: f"{joining[field]}\0"})
    assert response.status_code == 400
    assert errors_at(response, field)
    assert Invitation.objects.get().accepted_at is None


def test_a_new_password_with_a_nul_is_rejected(client, cast):
    identity = urlsafe_base64_encode(force_bytes(cast.reader.pk))
    link = reverse("web:reset", args=[identity, default_token_generator.make_token(cast.reader)])
    where = client.get(link, follow=True).redirect_chain[-1][0]
    response = client.post(where, {"new_password1": f"{NEW}\0", "new_password2": f"{NEW}\0"})
    assert response.status_code == 400
    assert errors_at(response, "new_password1")
    assert User.objects.get(pk=cast.reader.pk).check_password(PASSWORD)


def test_an_actions_error_is_shown_at_its_field_too(browser, cast):
    response = browser("admin").post("/teams", {"name": "checkout"})
    assert (response.status_code, errors_at(response, "name")) == (400, "This name is taken. Choose another.")


# --- Requests without a form of their own ------------------------------------------------------------
@pytest.mark.parametrize("sent", [{}, {"role": ""}, {"role": "boss"}, {"role": "lead\0"}])
def test_an_invalid_role_changes_nothing_and_is_named(browser, cast, sent):
    response = browser("lead").post(f"/teams/checkout/members/{cast.reader.pk}", sent)
    assert response.status_code == 400
    assert "Role of Reader: Choose one of reader, author, lead." in parsed(response).text
    assert Membership.objects.get(user=cast.reader).role == "reader"


def test_the_last_lead_and_the_last_admin_cannot_be_removed(browser, cast):
    assert browser("lead").post(f"/teams/checkout/members/{cast.lead.pk}", {"remove": "1"}).status_code == 400
    assert browser("admin").post(f"/people/{cast.admin.pk}", {"let_out": "1"}).status_code == 400
    assert Membership.objects.get(user=cast.lead).role == "lead"
    assert User.objects.get(pk=cast.admin.pk).is_active


@pytest.mark.parametrize("back", ["no slug", "/", "\0", "payments"])
def test_withdrawing_redirects_to_the_invitations_own_team_whatever_is_sent(browser, cast, back):
    invitation, _ = invite(actor=cast.viewer("lead"), team=cast.checkout)
    response = browser("lead").post(reverse("web:revoke-invitation", args=[invitation.pk]), {"team": back})
    assert (response.status_code, response.url) == (302, "/teams/checkout")
    assert Invitation.objects.get().revoked_at


def test_withdrawing_on_the_people_page_returns_there(browser, cast):
    invitation, _ = invite(actor=cast.viewer("admin"), team=cast.checkout)
    assert browser("admin").post(reverse("web:revoke-invitation", args=[invitation.pk])).url == "/people"


def test_withdrawing_an_accepted_invitation_says_what_to_do_instead(browser, cast):
    invitation, secret = invite(actor=cast.viewer("admin"), email="new@acme.example")
    accept_invitation(secret=secret, name="New", email="", password=NEW)
    response = browser("admin").post(reverse("web:revoke-invitation", args=[invitation.pk]))
    assert response.status_code == 409
    assert "An admin can close the account" in parsed(response).text
    assert Invitation.objects.get().revoked_at is None


@pytest.mark.django_db(transaction=True)
def test_referring_to_something_that_was_just_deleted_says_so(browser, cast, monkeypatch):
    team = create_team(actor=cast.viewer("admin"), name="Tea")

    def invite_after_the_deletion(**values):
        delete_team(actor=cast.viewer("admin"), team_id=team.pk)
        return invite(**values)

    monkeypatch.setattr(people, "invite", invite_after_the_deletion)
    response = browser("admin").post("/teams/tea/invite", {"email": "", "role": "reader"})
    assert response.status_code == 409
    assert "Something this refers to was just deleted" in parsed(response).text
    assert not Invitation.objects.exists()
