"""E-mail: what is sent to whom and how often, and what is shown when it cannot be sent."""

from __future__ import annotations

import re
import socket
import threading

import pytest
from django.core import mail
from django.core.cache import cache

from incidents.models import User
from tests.web.conftest import parsed


@pytest.fixture
def there_is_mail(settings):
    settings.EMAIL_URL = "smtp://localhost"
    cache.clear()


def path_in(text: str) -> str:
    """The path of the first secret link in a text."""
    found = re.search(r"http://[^/]+(/(?:invitations|password)/[^\s<]+)", text)
    assert found, text
    return found[1]


@pytest.mark.parametrize(
    ("name", "path", "team"), [("admin", "/people/invite", "checkout"), ("lead", "/teams/checkout/invite", "")]
)
def test_an_invitation_that_could_not_be_mailed_is_shown_to_copy(browser, client, settings, name, path, team):
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        settings.EMAIL_URL = "smtp://127.0.0.1"
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = nobody_listens.getsockname()
        response = browser(name).post(path, {"email": "new@acme.example", "role": "reader", "team": team})
    text = parsed(response).text
    assert "The e-mail to new@acme.example could not be sent." in text
    assert "was e-mailed" not in text
    assert client.get(path_in(response.content.decode())).status_code == 200


def test_an_invitation_that_was_mailed_says_so(browser, there_is_mail):
    response = browser("lead").post("/teams/checkout/invite", {"email": "new@acme.example", "role": "reader"})
    assert "The link was e-mailed to new@acme.example." in parsed(response).text
    assert path_in(mail.outbox[0].body) == path_in(response.content.decode())


# --- A forgotten password ----------------------------------------------------------------------------
def ask(client, address):
    """Ask for a reset link and wait for the background mail. Returns all mail sent so far."""
    assert client.post("/password/forgotten", {"email": address}).url == "/password/forgotten/sent"
    for thread in threading.enumerate():
        if "_deliver" in thread.name:
            thread.join(10)
    return mail.outbox


def test_a_user_who_forgot_their_password_is_mailed_a_link_that_works_once(client, cast, there_is_mail):
    [sent] = ask(client, "Author@acme.example")
    assert sent.to == ["author@acme.example"]
    link = path_in(sent.body)
    where = client.get(link, follow=True).redirect_chain[-1][0]
    new = "another rather long phrase"
    assert client.post(where, {"new_password1": new, "new_password2": new}).url == "/sign-in"
    assert client.post("/sign-in", {"username": "author@acme.example", "password": new}).status_code == 302
    client.post("/sign-out")
    assert "has expired" in client.get(link, follow=True).content.decode()


@pytest.mark.parametrize("address", ["nobody@acme.example", "pager@acme.example", "closed@acme.example"])
def test_only_people_who_can_sign_in_are_mailed_a_link(client, cast, there_is_mail, address):
    User.objects.create(email="pager@acme.example", name="Pager", is_service_account=True)
    User.objects.create(email="closed@acme.example", name="Closed", is_active=False)
    assert ask(client, address) == []


def test_repeated_requests_do_not_flood_a_mailbox(client, cast, there_is_mail):
    for _ in range(5):
        sent = ask(client, "author@acme.example")
    assert [message.to for message in sent] == [["author@acme.example"]]
    assert len(ask(client, "lead@acme.example")) == 2
    # The waiting time has passed.
    cache.delete(f"reset-mail:{cast.author.pk}")
    assert len(ask(client, "author@acme.example")) == 3
