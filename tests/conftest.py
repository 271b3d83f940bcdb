"""The cast: an author, a lead and a reader of the owning team, a reviewer, a member of another team, an admin, and an
anonymous user.

Every suite about permissions tries all of them. The test setup that all suites share is here as well.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models import Model
from django.template.base import Template
from django.test.utils import _TestState
from django.utils import timezone
from django.utils.crypto import get_random_string
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from incidents import template
from incidents.actions.compose import write_incident
from incidents.actions.incidents import create_incident
from incidents.actions.lifecycle import publish
from incidents.actions.organizations import create_organization, create_team, save_template, set_membership
from incidents.models import AuditEntry, Incident, Membership, Organization, PostmortemTemplate, Team, User
from incidents.scopes import ANONYMOUS, Viewer
from incidents.vocabulary import Role

# No deadline for property tests: a slow machine is not a failure.
hypothesis_settings.register_profile(
    "suite",
    deadline=None,
    # CI must be deterministic; everywhere else each run tries new examples.
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("suite")

PASSWORD = "a long enough pass phrase"


def pytest_configure() -> None:
    """Make tests fast, and give each parallel process its own Redis number, so that none counts another's requests or
    clears its counts."""
    # The production hashers are slow by design.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Otherwise every test client would scan all static files before its first request.
    settings.WHITENOISE_AUTOREFRESH = True
    if connection.vendor == "sqlite":
        # Said outright, because pytest-django knows only Django's own backend by name.
        connection.settings_dict["TEST"]["NAME"] = ":memory:"
    if connection.vendor == "postgresql":
        connection.ops.sql_flush = _deletes  # type: ignore[method-assign]
    place = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    shared = settings.CACHES["default"]
    address, _, number = shared.get("LOCATION", "").rpartition("/")
    if place and number:
        shared["LOCATION"] = f"{address}/{(int(number) + place - 1) % 15 + 1}"


def _deletes(style: Any, tables: list[str], **options: Any) -> list[str]:
    """Empty the tables with DELETE after a test that commits: for a few rows that is faster than TRUNCATE, which would
    re-create fifty files."""
    return ["; ".join(f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables)] if tables else []


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Run all tests inside one call that reserves a large chunk of stack.

    Python 3.11 and 3.12 map and unmap memory whenever a call crosses the end of a 16 KiB chunk. Tests run deep in the
    stack, and a loop that happened to sit at such a boundary cost a tenth of the total time.
    """
    if session.stash.get(_IN_A_LARGE_FRAME, False):
        return None
    session.stash[_IN_A_LARGE_FRAME] = True
    return _in_a_large_frame(session.config.hook.pytest_runtestloop, session=session)


_IN_A_LARGE_FRAME = pytest.StashKey[bool]()


def _in_a_large_frame(call: Callable[..., object], **given: object) -> object:
    return call(**given)


# In words of eight bytes. Python allocates a chunk of two megabytes for this frame; the tests use what is left of it.
_in_a_large_frame.__code__ = _in_a_large_frame.__code__.replace(co_stacksize=140_000)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With PostgreSQL, run only tests that touch a database: the others already ran in the embedded mode.

    Files with slow tests come first: each file goes to one process, and at the end the other processes would wait.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return

    def touches_services(item: pytest.Item) -> bool:
        fixtures = {"db", "transactional_db", "django_db_setup", "live_server"} & set(getattr(item, "fixturenames", ()))
        marked = any(item.get_closest_marker(name) for name in ("django_db", "postgres_only"))
        return bool(fixtures) or marked

    again = [item for item in items if touches_services(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(again)])
    items[:] = again


def forget_counts() -> None:
    """Delete this installation's cache entries and nothing else: others may be using the same Redis."""
    getattr(cache, "delete_pattern", lambda _: cache.clear())("*")


def pytest_collection_finish() -> None:
    """Exempt what was imported and collected from garbage collection, which took a twentieth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 100)


@pytest.fixture(scope="session", autouse=True)
def _templates_are_not_watched(django_test_environment: None) -> None:
    """Restore plain template rendering. Django's test client copies the context of every template and include, which
    takes a tenth of the time of the page tests; those only read the responses."""
    Template._render = _TestState.saved_data.template_render  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _only_the_database_engine(settings: Any) -> None:
    """Suites about Elasticsearch or the tagger turn it on for themselves; see tests/search/elastic.py and
    tests/patterns/conftest.py."""
    settings.ELASTICSEARCH_URL = ""
    settings.OUTBOX_CONSUMERS = ["database_index"]


@pytest.fixture(autouse=True)
def _no_words_stay(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """After a test that commits, empty the one table that Django does not, because it has no model."""
    yield
    marker = request.node.get_closest_marker("django_db")
    commits = {"transactional_db", "live_server"} & set(request.fixturenames) or (marker and marker.kwargs)
    if commits and connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM search_words")


@dataclass
class Cast:
    """Users by role. `viewer(name)` resolves a fresh viewer. "anonymous" and "outsider" have no rights in Checkout."""

    home: Organization
    checkout: Team
    payments: Team
    author: User
    lead: User
    reader: User
    reviewer: User
    outsider: User
    admin: User

    NAMES = ("anonymous", "outsider", "reader", "reviewer", "author", "lead", "admin")

    def user(self, name: str) -> User | None:
        return None if name == "anonymous" else getattr(self, name)

    def viewer(self, name: str) -> Viewer:
        user = self.user(name)
        return Viewer.of(User.objects.get(pk=user.pk)) if user else ANONYMOUS


# The cast as rows, and the statements that insert them; cached, because most tests begin with it.
_cast: list[tuple[type[Model], list[dict[str, Any]]]] = []
_statements: list[tuple[str, Any]] = []
_MODELS = (Organization, Team, User, Membership, PostmortemTemplate)


@pytest.fixture(scope="module")
def kept(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """For modules whose tests share rows that take long to write; these are rolled back at the end of the module.

    Fixtures that use this must have module scope, including `cast = kept_cast`, and write before any test does. What a
    test itself writes (marked `django_db`) is rolled back at the end of that test.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        if connection.vendor == "postgresql":
            # Otherwise the end of every test would check the kept rows for broken references.
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield
        transaction.set_rollback(True)


@pytest.fixture
def cast(db: None) -> Cast:
    return _bring_cast()


@pytest.fixture(scope="module")
def kept_cast(kept: None) -> Cast:
    return _bring_cast()


def _bring_cast() -> Cast:
    """Checkout owns the incidents, and has the author, the lead and the reader. The reviewer and the outsider belong to
    Payments."""
    if _statements:
        with connection.cursor() as cursor:
            for statement, values in _statements:
                cursor.execute(statement, values)
    else:
        _make_cast()
        _keep_cast()
    of = {model: [model.from_db("default", list(row), list(row.values())) for row in rows] for model, rows in _cast}
    users = {user.name.lower(): user for user in of[User]}
    teams = {team.slug: team for team in of[Team]}
    return Cast(home=of[Organization][0], **teams, **users)


def _keep_cast() -> None:
    """Rewrite the cast as bare rows, without the system user and its audit entries, and cache the statements."""
    AuditEntry.objects.all().delete()
    User.objects.filter(is_system=True).delete()
    _cast[:] = [(model, list(model.objects.values())) for model in _MODELS]
    for model in reversed(_MODELS):
        model.objects.all().delete()

    def keep(execute: Any, statement: str, values: Any, many: bool, context: Any) -> Any:
        if statement.startswith("INSERT"):
            _statements.append((statement, values))
        return execute(statement, values, many, context)

    with connection.execute_wrapper(keep):
        for model, rows in _cast:
            model.objects.bulk_create([model(**row) for row in rows])


def _make_cast() -> None:
    system = Viewer.system()
    for definition in template.shipped_definitions():
        save_template(actor=system, definition=definition)
    create_organization(actor=system, name="Acme", is_home=True)
    checkout, payments = (
        create_team(actor=system, name="Checkout"),
        create_team(actor=system, name="Payments"),
    )
    made: dict[str, User] = {}
    for name in ("author", "lead", "reader", "reviewer", "outsider", "admin"):
        user = User(email=f"{name}@acme.example", name=name.capitalize(), is_admin=name == "admin")
        user.set_password(PASSWORD)
        user.save()
        made[name] = user
    for team, name, role in (
        (checkout, "lead", Role.LEAD),
        (checkout, "author", Role.AUTHOR),
        (checkout, "reader", Role.READER),
        (payments, "outsider", Role.LEAD),
        (payments, "reviewer", Role.AUTHOR),
    ):
        set_membership(actor=system, team_id=team.pk, user=made[name], role=role)


def session_of(user: User) -> str:
    """The key of a new session of this user, for a client's cookie. `force_login` would take 18 statements including
    savepoints; signing in has its own tests."""
    standing = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[-1],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    key = get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789")
    Session.objects.create(
        session_key=key,
        session_data=Session.objects.encode(standing),
        expire_date=timezone.now() + timedelta(days=1),
    )
    return key


@pytest.fixture
def draft(cast: Cast) -> Callable[..., Incident]:
    """draft(title=..., any other fact): see `begin`."""
    return partial(begin, cast)


def begin(cast: Cast, title: str = "Checkout returned errors", **facts: Any) -> Incident:
    """Begin a postmortem of Checkout: begin(cast, title=..., visibility=..., any other fact)."""
    facts = {"team": cast.checkout.slug, "visibility": "internal", **facts}
    return create_incident(actor=Viewer.of(cast.author), facts={"title": title, **facts})


def content(text: str = "The cache was resized and emptied.") -> dict[str, Any]:
    """A body with everything that publishing requires."""
    return {
        "sections": {"summary": {"body": text}, "impact": {"body": "18% of checkouts failed."}},
        "timeline": [{"at": "2026-03-03T14:03Z", "kind": "impact", "text": "Resize begins"}],
        "causes": [{"kind": "trigger", "family": "change", "text": "A resize flushed every key"}],
        "lessons": [{"text": "A resize is a flush"}],
        "actions": [
            {
                "kind": "prevent",
                "text": "Add backoff to clients",
                "owner": "author@acme.example",
                "tracker_url": "https://tracker.acme.example/1",
            }
        ],
    }


def fill(cast: Cast, incident: Incident, *, text: str = "The cache was resized and emptied.") -> None:
    """Write everything that publishing requires."""
    write_incident(actor=Viewer.of(cast.author), incident_id=incident.pk, body=content(text))


@pytest.fixture
def published(cast: Cast) -> Callable[..., Incident]:
    """published(title=..., text=..., any other fact): see `publish_one`."""
    return partial(publish_one, cast)


def publish_one(
    cast: Cast,
    title: str = "Checkout returned errors",
    *,
    text: str = "The cache was resized and emptied.",
    **facts: Any,
) -> Incident:
    """A complete postmortem of Checkout, published by its lead."""
    incident = begin(cast, title, **facts)
    fill(cast, incident, text=text)
    publish(actor=Viewer.of(cast.lead), incident_id=incident.pk)
    incident.refresh_from_db()
    return incident


def in_another_connection(act: Callable[[], object]) -> list[OperationalError]:
    """Call `act` in a thread with its own connection, which waits at most two seconds for a lock. Returns what it
    raised, if anything. For PostgreSQL."""
    raised = []

    def run() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            act()
        except OperationalError as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised
