"""The permission matrix of the pages: GET and POST of every route outside of writing, by every kind of user.

The routes come from the URL resolver, and one without a row here fails. The routes of writing are tested in
tests/web/writing/test_who_may.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from incidents.actions.organizations import create_organization
from incidents.actions.people import digest, invite
from incidents.models import AuditEntry, Incident, Invitation, Membership, Organization, Team, User
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from kb.search.models import SavedSearch
from kb.search.saved import save_search
from kb.search.service import SearchRequest
from tests.conftest import PASSWORD, Cast, begin, kept_cast, publish_one, session_of
from tests.routes import every_route

PEOPLE = ("anonymous", "outsider", "reader", "author", "lead", "admin")
NEW = "another rather long phrase"

# The expected outcomes: a status, or "in" for a redirect to the sign-in page.
#           anonymous outsider reader author lead admin
EVERYBODY = "200 200 200 200 200 200"
NOBODY = "405 405 405 405 405 405"
SIGNED_IN = "in 200 200 200 200 200"
ADMINS = "in 403 403 403 403 200"
ADMINS_POST = "401 403 403 403 403 302"
ADMINS_CREATE = "401 403 403 403 403 200"
KEEPERS = "in 403 403 403 200 200"
KEEPERS_POST = "401 403 403 403 302 302"
KEEPERS_CREATE = "401 403 403 403 200 200"
TEAM_SEES = "404 404 200 200 200 200"
COLLEAGUES_SEE = "404 200 200 200 200 200"
WRITERS_DECIDE = "401 403 403 302 302 302"
TEAM_WRITERS_DECIDE = "401 404 403 302 302 302"


@dataclass(frozen=True)
class Row:
    """The outcomes of GET and POST on one route, by subject where it is tried on several."""

    get: str | dict[str, str]
    post: str | dict[str, str]
    sent: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    query: str = ""

    def outcomes(self) -> list[tuple[str, str, str]]:
        """(method, subject, outcomes in the order of PEOPLE), with "" for the only subject."""
        return [
            (method, subject, outcomes)
            for method, told in (("GET", self.get), ("POST", self.post))
            for subject, outcomes in (told.items() if isinstance(told, dict) else [("", told)])
        ]


READS_INCIDENT = Row({"draft": TEAM_SEES, "internal": COLLEAGUES_SEE, "public": EVERYBODY}, {"public": NOBODY})


def decides(**sent: str) -> Row:
    decided = {"draft": TEAM_WRITERS_DECIDE, "internal": "401 403 403 302 302 302", "public": WRITERS_DECIDE}
    return Row({"public": NOBODY}, decided, sent)


CHECKOUT = {"slug": "checkout"}
MATRIX: dict[str, Row] = {
    # --- Signing in, and the user's own account
    "sign-in": Row(
        "200 302 302 302 302 302", "200 302 302 302 302 302", {"username": "author@acme.example", "password": "wrong"}
    ),
    "sign-out": Row(NOBODY, "302 302 302 302 302 302"),
    "change-password": Row(
        SIGNED_IN,
        "in 302 302 302 302 302",
        {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW},
    ),
    "ask-for-reset": Row(EVERYBODY, "302 302 302 302 302 302", {"email": "reader@acme.example"}),
    "reset-sent": Row(EVERYBODY, NOBODY),
    # Open to anyone with the link. It redirects to an address without the token first.
    "reset": Row("302 302 302 302 302 302", "302 302 302 302 302 302", {"new_password1": NEW, "new_password2": NEW}),
    "account": Row(SIGNED_IN, "401 302 302 302 302 302", {"name": "Ada", "time_zone": "Asia/Tokyo"}),
    "tokens": Row(SIGNED_IN, NOBODY),
    # --- Invitations: open to anyone with the link
    "invitation": Row(
        EVERYBODY,
        "302 302 302 302 302 302",
        {"name": "New", "email": "new@acme.example", "password": NEW, "time_zone": "UTC"},
    ),
    "revoke-invitation": Row(NOBODY, "401 404 404 404 302 302", {"team": "checkout"}),
    # --- People
    "people": Row(ADMINS, NOBODY),
    "invite": Row(NOBODY, ADMINS_CREATE, {"role": "author", "team": "checkout"}),
    "add-service-account": Row(NOBODY, ADMINS_POST, {"name": "Pager", "email": "pager@acme.example"}),
    "change-standing": Row(NOBODY, ADMINS_POST, {"make_admin": "1"}),
    "make-reset-link": Row(NOBODY, ADMINS_CREATE),
    # --- Teams and organizations
    "teams": Row(SIGNED_IN, ADMINS_POST, {"name": "Search"}),
    "team": Row(SIGNED_IN, NOBODY, parts=CHECKOUT),
    "change-team": Row(KEEPERS, KEEPERS_POST, {"name": "Checkout", "description": "Pays"}, CHECKOUT),
    "invite-to-team": Row(NOBODY, KEEPERS_CREATE, {"role": "author"}, CHECKOUT),
    "add-member": Row(NOBODY, KEEPERS_POST, {"user": "outsider", "role": "reader"}, CHECKOUT),
    "change-member": Row(NOBODY, KEEPERS_POST, {"role": "author"}, CHECKOUT),
    "edit-organization": Row(ADMINS, ADMINS_POST, {"name": "Acme Ltd"}, {"slug": "acme"}),
    # --- Reading
    "home": Row(EVERYBODY, NOBODY),
    "search": Row(EVERYBODY, "401 302 302 302 302 302", {"name": "Caches"}, query="?q=cache&severity=sev1"),
    # The saved search belongs to the lead.
    "forget-search": Row(NOBODY, "401 404 404 404 302 404"),
    "incidents": Row(EVERYBODY, NOBODY),
    "outages": Row(EVERYBODY, NOBODY),
    "organizations": Row(EVERYBODY, NOBODY),
    # An organization that only a draft is about exists for viewers who can see the draft.
    "organization": Row({"acme": EVERYBODY, "zanzibar": TEAM_SEES}, {"acme": NOBODY}),
    "patterns": Row(EVERYBODY, NOBODY),
    "pattern": Row(EVERYBODY, NOBODY, parts={"slug": "retry-storm"}),
    "pattern-trend": Row(EVERYBODY, NOBODY, parts={"slug": "retry-storm"}),
    # --- One incident
    "incident": READS_INCIDENT,
    "similar": READS_INCIDENT,
    "add-pattern": decides(slug="cold-start"),
    "confirm-pattern": decides(),
    "reject-pattern": decides(reason="No client retried"),
    "undo-pattern": decides(),
}


# --- The routes ------------------------------------------------------------------------------------
def routes() -> list[str | None]:
    """The names of all page routes, except those of writing."""
    return [route.pattern.name for route in every_route() if route.is_page and not route.is_writing]


def test_every_route_has_a_row_and_every_row_a_route():
    assert sorted(routes(), key=str) == sorted(MATRIX)


# --- The world the requests are tried on -----------------------------------------------------------
@dataclass
class World:
    cast: Cast
    sessions: dict[str, str]
    incidents: dict[str, Incident]
    parts: dict[str, dict[str, Any]]

    def address(self, name: str, subject: str) -> str:
        parts = {**self.parts.get(name, {}), **MATRIX[name].parts}
        if subject in self.incidents:
            parts["reference"] = self.incidents[subject].ref
        elif subject:
            parts["slug"] = subject
        return reverse(f"web:{name}", kwargs=parts) + MATRIX[name].query

    def send(self, person: str, method: str, address: str, sent: dict[str, Any]) -> Any:
        """Send a request with a new client that has only the person's session, because some pages end it."""
        client = Client()
        if person != "anonymous":
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[person]
        return client.get(address) if method == "GET" else client.post(address, sent)

    def sent(self, row: Row) -> dict[str, Any]:
        return {**row.sent, "user": self.cast.outsider.pk} if "user" in row.sent else row.sent


pytestmark = pytest.mark.django_db
cast = kept_cast


@pytest.fixture(scope="module")
def world(cast: Cast) -> World:
    create_organization(actor=cast.viewer("admin"), name="Zanzibar")
    incidents = {
        "draft": begin(cast, "The draft", organization="Zanzibar"),
        "internal": publish_one(cast, "The internal one", visibility="internal", started="2024-03-03"),
        "public": publish_one(cast, "The public one", visibility="public", started="2025-03-03"),
        "earlier": publish_one(cast, "The earlier one", visibility="public", started="2021-03-03"),
    }
    storm, _ = Pattern.objects.get_or_create(
        slug="retry-storm", defaults={"name": "Retry storm", "family": "load", "counts": "Retries."}
    )
    Pattern.objects.get_or_create(
        slug="cold-start", defaults={"name": "Cold start", "family": "load", "counts": "Caches."}
    )
    for incident in incidents.values():
        Tag.objects.create(incident=incident, pattern=storm, source="rule", state="automatic", rule_version=1)
    relay.drain()
    invitation, secret = invite(actor=cast.viewer("lead"), team=cast.checkout, role="author")
    reader = cast.reader
    saved = save_search(actor=cast.viewer("lead"), name="Queues", request=SearchRequest(q="queue"))
    parts = {
        "forget-search": {"saved_id": saved.uuid},
        "reset": {
            "uidb64": urlsafe_base64_encode(force_bytes(reader.pk)),
            "token": default_token_generator.make_token(reader),
        },
        "invitation": {"secret": secret},
        "revoke-invitation": {"invitation_id": invitation.pk},
        **{name: {"user_id": reader.pk} for name in ("change-standing", "make-reset-link", "change-member")},
        **{name: {"slug": "retry-storm"} for name in ("confirm-pattern", "reject-pattern", "undo-pattern")},
    }
    sessions = {person: session_of(user) for person in PEOPLE if (user := cast.user(person)) is not None}
    return World(cast, sessions, incidents, parts)


def everything() -> list[list[dict[str, Any]]]:
    """All rows in the database that these pages can change."""
    models = (User, Membership, Team, Invitation, Organization, Incident, Tag, SavedSearch, AuditEntry)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.mark.parametrize("name", MATRIX)
def test_everyone_gets_exactly_what_the_matrix_says(world: World, name: str):
    """Rejected requests must also change nothing."""
    row, before, wrong = MATRIX[name], everything(), []
    for method, subject, outcomes in row.outcomes():
        address = world.address(name, subject)
        for person, expected in zip(PEOPLE, outcomes.split(), strict=True):
            where = f"{method} {address} as {person}"
            with transaction.atomic():
                response = world.send(person, method, address, world.sent(row))
                got = "in" if response.headers.get("Location") == f"/sign-in?next={address}" else response.status_code
                if str(got) != expected:
                    wrong.append(f"{where}: {got}, not {expected}")
                if method == "POST" and got in ("in", 401, 403, 404) and everything() != before:
                    wrong.append(f"{where} changed something")
                transaction.set_rollback(True)
    assert not wrong, "\n".join(wrong)


CHANGED = {
    "change-password": lambda cast: User.objects.get(pk=cast.lead.pk).check_password(NEW),
    "account": lambda cast: User.objects.get(pk=cast.lead.pk).name == "Ada",
    "invitation": lambda cast: Membership.objects.get(user__email="new@acme.example").role == "author",
    "revoke-invitation": lambda cast: Invitation.objects.get().revoked_at,
    "change-team": lambda cast: Team.objects.get(slug="checkout").description == "Pays",
    "search": lambda cast: SavedSearch.objects.filter(user=cast.lead, name="Caches").exists(),
    "forget-search": lambda cast: not SavedSearch.objects.exists(),
    "invite-to-team": lambda cast: Invitation.objects.filter(team=cast.checkout).count() == 2,
    "add-member": lambda cast: Membership.objects.get(user=cast.outsider, team=cast.checkout).role == "reader",
    "change-member": lambda cast: Membership.objects.get(user=cast.reader).role == "author",
    "confirm-pattern": lambda cast: Tag.objects.filter(state="confirmed").exists(),
    "reject-pattern": lambda cast: Tag.objects.filter(state="rejected").exists(),
    "add-pattern": lambda cast: Tag.objects.filter(pattern__slug="cold-start").exists(),
}
CHANGED_BY_ADMINS = {
    "invite": lambda cast: Invitation.objects.count() == 2,
    "add-service-account": lambda cast: User.objects.get(email="pager@acme.example").is_service_account,
    "change-standing": lambda cast: User.objects.get(pk=cast.reader.pk).is_admin,
    "make-reset-link": lambda cast: (
        AuditEntry.objects.get(action="user.reset_allowed").object_id == str(cast.reader.pk)
    ),
    "teams": lambda cast: Team.objects.filter(slug="search").exists(),
    "edit-organization": lambda cast: Organization.objects.get(slug="acme").name == "Acme Ltd",
}


@pytest.mark.parametrize("name", CHANGED | CHANGED_BY_ADMINS)
def test_permitted_requests_do_change_something(world: World, name: str):
    row = MATRIX[name]
    _, subject, _ = next(outcome for outcome in row.outcomes() if outcome[0] == "POST")
    who = "lead" if name in CHANGED else "admin"
    done = (CHANGED | CHANGED_BY_ADMINS)[name]
    assert world.send(who, "POST", world.address(name, subject), world.sent(row)).status_code in (200, 302)
    assert done(world.cast)


def test_an_expired_invitation_does_not_work(world: World):
    invitation = world.parts["invitation"]["secret"]
    Invitation.objects.filter(digest=digest(invitation)).update(expires_at=timezone.now() - timedelta(seconds=1))
    address = world.address("invitation", "")
    for method in ("GET", "POST"):
        response = world.send("anonymous", method, address, MATRIX["invitation"].sent)
        assert response.status_code == 404
        assert "has expired" in response.content.decode()
    assert not User.objects.filter(email="new@acme.example").exists()
