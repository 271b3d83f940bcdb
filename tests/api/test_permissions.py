"""The permission matrix: every route and method, tried by every member of the cast and by restricted tokens.

The routes come from the URL resolver and the OpenAPI document; a route without a row here fails. Outcomes are tried on
a draft, and on incidents published to the team, to everyone signed in, and to everyone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from incidents.actions import lifecycle
from incidents.actions.incidents import create_incident
from incidents.actions.links import add_link
from incidents.actions.organizations import create_organization, create_service, create_team
from incidents.actions.people import create_service_account
from incidents.actions.sections import add_row
from incidents.models import Incident, PostmortemTemplate
from incidents.records import KINDS
from kb.api import tokens
from kb.api.models import AccessToken
from kb.api.views import incidents as incident_views
from kb.api.views.meta import UnknownUrl, openapi
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from tests.api.conftest import Caller
from tests.conftest import Cast, begin, fill, kept_cast
from tests.routes import every_route

CALLERS = ("anonymous", "outsider", "reviewer", "reader", "author", "lead", "admin", "read token", "expired token")
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")

ROWS: dict[str, dict[str, Any]] = {
    "timeline": {"at": "2026-03-03T14:05Z", "text": "Alert"},
    "causes": {"kind": "root", "text": "No limit on retries"},
    "lessons": {"text": "Retries need a limit"},
    "actions": {"kind": "detect", "text": "Alert on retries"},
    "impact_figures": {"label": "Failed checkouts", "value": 18, "unit": "%"},
    "sources": {"url": "https://status.acme.example/1", "title": "Status page"},
    "disagreements": {"about": "started", "text": "The status page says 14:05."},
}
SECTIONS = [{"key": key, "title": key.title(), "kind": "prose"} for key in ("summary", "impact")] + [
    {"key": key, "title": key.title(), "kind": "records", "records": key}
    for key in ("timeline", "causes", "lessons", "actions")
]


@dataclass(frozen=True)
class Row:
    """The expected responses of one route and method: nine statuses in the order of CALLERS, by subject."""

    outcomes: dict[str, str]
    body: Any = None
    parts: dict[str, Any] = field(default_factory=dict)


def on(**outcomes: str) -> dict[str, str]:
    return outcomes


# --- Rules -----------------------------------------------------------------------------------------
#                 anonymous outsider reviewer reader author lead admin | read token, expired token
READS = on(
    draft="404 404 404 200 200 200 200 200 401",
    private="404 404 404 200 200 200 200 200 401",
    internal="404 200 200 200 200 200 200 200 401",
    public="200 200 200 200 200 200 200 200 401",
)
READS_WORKING_COPY = on(
    draft="404 404 404 200 200 200 200 200 401",
    private="404 404 404 404 200 200 200 200 401",
    internal="404 404 404 404 200 200 200 200 401",
    public="404 404 404 404 200 200 200 200 401",
)


def edits(draft: int, published: int = 409) -> dict[str, str]:
    """Edits are for authors, leads and admins, who get `draft` on a draft and `published` after publishing."""
    done, after = f"{draft} {draft} {draft}", f"{published} {published} {published}"
    return on(
        draft=f"401 404 404 403 {done} 403 401",
        private=f"401 404 404 403 {after} 403 401",
        internal=f"401 403 403 403 {after} 403 401",
        public=f"401 403 403 403 {after} 403 401",
    )


def some(outcomes: dict[str, str], kind: str, *, on: str) -> dict[str, str]:
    """Every kind of row shares its code, so only actions are tried on all subjects; the others are tried on one."""
    return outcomes if kind == "actions" else {on: outcomes[on]}


DELETES_INCIDENT = on(
    draft="401 404 404 403 403 204 204 403 401",
    private="401 404 404 403 403 204 204 403 401",
    internal="401 403 403 403 403 204 204 403 401",
    public="401 403 403 403 403 204 204 403 401",
)
ARCHIVES = on(
    draft="401 404 404 403 403 409 409 403 401",
    private="401 404 404 403 403 200 200 403 401",
    internal="401 403 403 403 403 200 200 403 401",
    public="401 403 403 403 403 200 200 403 401",
)
RESTORES = on(
    draft="401 404 404 403 403 409 409 403 401",
    internal="401 403 403 403 403 409 409 403 401",
    archived="401 403 403 403 403 200 200 403 401",
)
SUBMITS = edits(200)
WITHDRAWS = on(draft="401 404 404 403 409 409 409 403 401", in_review="401 404 403 403 200 200 200 403 401")
REVIEWS = on(
    draft="401 404 404 403 403 403 403 403 401",
    in_review="401 404 200 403 403 403 403 403 401",
    internal="401 403 403 403 403 403 403 403 401",
)
PUBLISHES = on(
    draft="401 404 404 403 409 200 200 403 401",
    in_review="401 404 403 403 403 200 200 403 401",
    internal="401 403 403 403 409 409 409 403 401",
)
REOPENS = on(
    draft="401 404 404 403 409 409 409 403 401",
    private="401 404 404 403 200 200 200 403 401",
    internal="401 403 403 403 200 200 200 403 401",
    public="401 403 403 403 200 200 200 403 401",
)

EVERYBODY = on(it="200 200 200 200 200 200 200 200 401")
COLLEAGUES = on(it="404 200 200 200 200 200 200 200 401")
SIGNED_IN = on(it="401 200 200 200 200 200 200 200 401")
ADMINS_CREATE = on(it="401 403 403 403 403 403 201 403 401")
ADMINS_CHANGE = on(it="401 403 403 403 403 403 200 403 401")
ADMINS_DELETE = on(it="401 403 403 403 403 403 204 403 401")
OWN_TOKEN = on(it="401 404 404 404 200 404 404 200 401")

INCIDENT = "/api/v1/incidents/{ref}"
MATRIX: dict[tuple[str, str], Row] = {
    ("GET", "/api/v1/incidents"): Row(EVERYBODY),
    ("POST", "/api/v1/incidents"): Row(
        on(it="401 400 400 403 201 201 201 403 401"), {"title": "New", "team": "checkout"}
    ),
    ("GET", INCIDENT): Row(READS),
    ("PATCH", INCIDENT): Row(edits(200), {"severity": "sev1"}),
    ("DELETE", INCIDENT): Row(DELETES_INCIDENT),
    ("POST", f"{INCIDENT}/submit"): Row(SUBMITS, {"reviewers": ["reviewer@acme.example"]}),
    ("POST", f"{INCIDENT}/withdraw"): Row(WITHDRAWS),
    ("POST", f"{INCIDENT}/review"): Row(REVIEWS, {"approve": True}),
    ("POST", f"{INCIDENT}/publish"): Row(PUBLISHES),
    ("POST", f"{INCIDENT}/reopen"): Row(REOPENS),
    ("POST", f"{INCIDENT}/archive"): Row(ARCHIVES),
    ("POST", f"{INCIDENT}/restore"): Row(RESTORES),
    ("GET", f"{INCIDENT}/sections"): Row(READS),
    ("GET", f"{INCIDENT}/sections/{{key}}"): Row(READS, parts={"key": "summary"}),
    ("PATCH", f"{INCIDENT}/sections/{{key}}"): Row(edits(200), {"body": "New text"}, {"key": "summary"}),
    **{("GET", f"{INCIDENT}/{kind}"): Row(some(READS, kind, on="internal")) for kind in KINDS},
    **{("POST", f"{INCIDENT}/{kind}"): Row(some(edits(201), kind, on="draft"), ROWS[kind]) for kind in KINDS},
    **{("GET", f"{INCIDENT}/{kind}/{{row_id}}"): Row(some(READS, kind, on="internal")) for kind in KINDS},
    **{
        ("PATCH", f"{INCIDENT}/{kind}/{{row_id}}"): Row(some(edits(200), kind, on="draft"), ROWS[kind])
        for kind in KINDS
    },
    # The progress of action items can be updated after publishing.
    ("PATCH", f"{INCIDENT}/actions/{{row_id}}"): Row(edits(200, published=200), {"state": "done"}),
    **{("DELETE", f"{INCIDENT}/{kind}/{{row_id}}"): Row(some(edits(204), kind, on="draft")) for kind in KINDS},
    ("GET", f"{INCIDENT}/links"): Row(READS),
    ("POST", f"{INCIDENT}/links"): Row(edits(201, published=201), {"kind": "caused_by", "to": "hub"}),
    ("GET", f"{INCIDENT}/links/{{link_id}}"): Row(READS),
    ("PATCH", f"{INCIDENT}/links/{{link_id}}"): Row(edits(200, published=200), {"note": "The same cache"}),
    ("DELETE", f"{INCIDENT}/links/{{link_id}}"): Row(edits(204, published=204)),
    ("GET", f"{INCIDENT}/revisions"): Row(READS),
    ("GET", f"{INCIDENT}/revisions/{{number}}"): Row(
        {k: v for k, v in READS.items() if k != "draft"}, parts={"number": 1}
    ),
    ("GET", f"{INCIDENT}/reviews"): Row(READS_WORKING_COPY),
    ("GET", f"{INCIDENT}/audit"): Row(READS_WORKING_COPY),
    ("GET", f"{INCIDENT}/export"): Row(READS),
    ("GET", f"{INCIDENT}/similar"): Row(READS),
    ("GET", f"{INCIDENT}/patterns"): Row(READS),
    # The incidents have the pattern already.
    ("POST", f"{INCIDENT}/patterns"): Row(edits(200, published=200), {"slug": "retry-storm"}),
    ("GET", f"{INCIDENT}/patterns/{{slug}}"): Row(READS, parts={"slug": "retry-storm"}),
    ("POST", f"{INCIDENT}/patterns/{{slug}}/confirm"): Row(edits(200, published=200), parts={"slug": "retry-storm"}),
    ("POST", f"{INCIDENT}/patterns/{{slug}}/reject"): Row(
        edits(200, published=200), {"reason": "No client retried"}, {"slug": "retry-storm"}
    ),
    ("POST", f"{INCIDENT}/patterns/{{slug}}/undo"): Row(edits(200, published=200), parts={"slug": "retry-storm"}),
    ("GET", "/api/v1/organizations"): Row(EVERYBODY),
    ("POST", "/api/v1/organizations"): Row(ADMINS_CREATE, {"name": "Initech"}),
    ("GET", "/api/v1/organizations/{slug}"): Row(EVERYBODY, parts={"slug": "acme"}),
    ("PATCH", "/api/v1/organizations/{slug}"): Row(ADMINS_CHANGE, {"sector": "retail"}, {"slug": "acme"}),
    ("DELETE", "/api/v1/organizations/{slug}"): Row(
        on(it="401 404 404 404 404 404 204 403 401"), parts={"slug": "unused"}
    ),
    ("GET", "/api/v1/services"): Row(EVERYBODY),
    ("POST", "/api/v1/services"): Row(
        on(it="401 403 403 403 403 201 201 403 401"), {"name": "Cart", "team": "checkout"}
    ),
    ("GET", "/api/v1/services/{service_id}"): Row(COLLEAGUES),
    ("PATCH", "/api/v1/services/{service_id}"): Row(on(it="401 403 403 403 403 200 200 403 401"), {"name": "Cart"}),
    ("DELETE", "/api/v1/services/{service_id}"): Row(on(it="401 403 403 403 403 204 204 403 401")),
    ("GET", "/api/v1/teams"): Row(EVERYBODY),
    ("POST", "/api/v1/teams"): Row(ADMINS_CREATE, {"name": "Search"}),
    ("GET", "/api/v1/teams/{slug}"): Row(COLLEAGUES, parts={"slug": "checkout"}),
    ("PATCH", "/api/v1/teams/{slug}"): Row(
        on(it="401 403 403 403 403 200 200 403 401"), {"description": "Pays"}, {"slug": "checkout"}
    ),
    ("DELETE", "/api/v1/teams/{slug}"): Row(ADMINS_DELETE, parts={"slug": "empty"}),
    ("GET", "/api/v1/teams/{slug}/members"): Row(COLLEAGUES, parts={"slug": "checkout"}),
    ("POST", "/api/v1/teams/{slug}/members"): Row(
        on(it="401 403 403 403 403 201 201 403 401"),
        {"email": "outsider@acme.example", "role": "reader"},
        {"slug": "checkout"},
    ),
    ("GET", "/api/v1/teams/{slug}/members/{user_id}"): Row(COLLEAGUES, parts={"slug": "checkout"}),
    ("PATCH", "/api/v1/teams/{slug}/members/{user_id}"): Row(
        on(it="401 403 403 403 403 200 200 403 401"), {"role": "author"}, {"slug": "checkout"}
    ),
    ("DELETE", "/api/v1/teams/{slug}/members/{user_id}"): Row(
        on(it="401 403 403 403 403 204 204 403 401"), parts={"slug": "checkout"}
    ),
    ("GET", "/api/v1/templates"): Row(EVERYBODY),
    ("POST", "/api/v1/templates"): Row(
        on(it="401 403 403 403 403 201 201 403 401"),
        {"key": "short", "name": "Short", "team": "checkout", "sections": SECTIONS},
    ),
    ("GET", "/api/v1/templates/{key}"): Row(EVERYBODY, parts={"key": "standard"}),
    ("PUT", "/api/v1/templates/{key}"): Row(
        ADMINS_CHANGE, {"name": "Standard", "sections": SECTIONS}, {"key": "standard"}
    ),
    ("GET", "/api/v1/templates/{key}/{number}"): Row(EVERYBODY, parts={"key": "standard", "number": 1}),
    ("GET", "/api/v1/patterns"): Row(EVERYBODY),
    ("GET", "/api/v1/patterns/{slug}"): Row(EVERYBODY, parts={"slug": "retry-storm"}),
    ("GET", "/api/v1/patterns/{slug}/statistics"): Row(EVERYBODY, parts={"slug": "retry-storm"}),
    ("GET", "/api/v1/search"): Row(EVERYBODY),
    ("GET", "/api/v1/tokens"): Row(SIGNED_IN),
    ("POST", "/api/v1/tokens"): Row(on(it="401 201 201 201 201 201 201 403 401"), {"name": "Pager"}),
    ("GET", "/api/v1/tokens/{token_id}"): Row(OWN_TOKEN),
    ("DELETE", "/api/v1/tokens/{token_id}"): Row(on(it="401 404 404 404 204 404 404 403 401")),
    ("GET", "/api/v1/me"): Row(SIGNED_IN),
    ("GET", "/api/v1/schema"): Row(EVERYBODY),
    ("GET", "/api/v1/docs"): Row(EVERYBODY),
}


# --- The routes that exist -------------------------------------------------------------------------
def routes() -> set[tuple[str, str]]:
    """(method, path) of every API view that the resolver knows, except the one for unknown URLs."""
    found = set()
    for route in every_route():
        view = getattr(route.pattern.callback, "cls", None)
        if route.is_rest and view is not UnknownUrl:
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", route.path)
            # A view outside the API could respond to any method.
            found |= {(method, path) for method in METHODS if view is None or hasattr(view, method.lower())}
    return found


def test_every_route_has_a_row_and_every_row_has_a_route():
    assert set(MATRIX) == routes()


def test_the_openapi_document_has_every_route_except_its_own_page():
    documented = {(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods}
    assert documented == routes() - {("GET", "/api/v1/docs")}


# --- The data that it is tried on ------------------------------------------------------------------
@dataclass
class World:
    cast: Cast
    callers: dict[str, Caller]
    incidents: dict[str, Incident]
    ids: dict[str, Any]

    def path(self, template: str, subject: str, row: Row) -> str:
        parts = {**self.ids, **row.parts}
        incident = self.incidents.get(subject)
        if incident is not None:
            parts["ref"] = incident.ref
            parts["link_id"] = incident.links_out.first().uuid if "{link_id}" in template else None
            if "{row_id}" in template:
                kind = KINDS[template.split("/")[5]]
                parts["row_id"] = kind.model._default_manager.filter(incident=incident).first().uuid
        return template.format(**parts)


pytestmark = pytest.mark.django_db
cast = kept_cast


@pytest.fixture(scope="module")
def world(cast: Cast) -> World:
    author, lead, admin = cast.viewer("author"), cast.viewer("lead"), cast.viewer("admin")
    hub = create_incident(actor=author, facts={"title": "Hub", "team": "checkout", "visibility": "public"})
    fill(cast, hub)
    lifecycle.publish(actor=lead, incident_id=hub.pk)
    visibilities = {"private": "team", "internal": "internal", "public": "public", "archived": "internal"}
    incidents = {}
    for name in ("draft", "in_review", *visibilities):
        incident = begin(cast, f"The {name} one", visibility=visibilities.get(name, "public"))
        fill(cast, incident)
        for kind in ("impact_figures", "sources", "disagreements"):
            add_row(actor=author, incident_id=incident.pk, kind=kind, values=ROWS[kind])
        add_link(actor=author, incident_id=incident.pk, kind="related", to=hub.ref)
        if name in visibilities:
            lifecycle.publish(actor=lead, incident_id=incident.pk)
        incidents[name] = incident
    lifecycle.archive(actor=lead, incident_id=incidents["archived"].pk)
    lifecycle.submit(actor=author, incident_id=incidents["in_review"].pk, reviewers=["reviewer@acme.example"])

    create_organization(actor=admin, name="Unused")
    create_team(actor=admin, name="Empty")
    service = create_service(actor=admin, name="Basket", organization=cast.home, team=cast.checkout)
    create_service_account(actor=admin, name="Bot", email="bot@acme.example")
    pattern, _ = Pattern.objects.get_or_create(
        slug="retry-storm", defaults={"name": "Retry storm", "family": "load", "counts": "Retries."}
    )
    for incident in incidents.values():
        Tag.objects.create(incident=incident, pattern=pattern, source="rule", state="suggested", rule_version=1)
    own, _ = tokens.create_token(actor=author, name="Laptop")
    ids = {"hub": hub.ref, "service_id": service.uuid, "user_id": cast.reader.pk, "token_id": own.uuid}
    return World(cast, _callers(cast), incidents, ids)


def _callers(cast: Cast) -> dict[str, Caller]:
    made = {"anonymous": Caller(Client(), None)}
    for name in CALLERS[1:7]:
        made[name] = Caller(Client(), tokens.create_token(actor=cast.viewer(name), name=name, scope="write")[1])
    author = cast.viewer("author")
    made["read token"] = Caller(Client(), tokens.create_token(actor=author, name="reads", scope="read")[1])
    expired, secret = tokens.create_token(actor=author, name="old", scope="write")
    AccessToken.objects.filter(pk=expired.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    made["expired token"] = Caller(Client(), secret)
    return made


def _group(path: str) -> str:
    """The group of routes that is tried in one test."""
    segments = path.split("/")[3:]
    if segments[0] != "incidents":
        return "other"
    if len(segments) < 3:
        return "incidents"
    return "rows" if segments[2] in KINDS else "steps" if segments[2] in STEPS else "parts"


STEPS = {step.step for step in incident_views.STEPS}
GROUPS = sorted({_group(path) for _, path in MATRIX})


@pytest.mark.parametrize("group", GROUPS)
def test_every_caller_gets_exactly_what_the_matrix_says(world: World, group: str):
    wrong = []
    for (method, template), row in MATRIX.items():
        if _group(template) != group:
            continue
        for subject, expected in row.outcomes.items():
            path = world.path(template, subject, row)
            body = {**row.body, "to": world.ids["hub"]} if row.body and row.body.get("to") == "hub" else row.body
            for name, status in zip(CALLERS, expected.split(), strict=True):
                conditional = method in ("PATCH", "PUT", "DELETE") or template.endswith("/review")
                sent = {"if_match": "*"} if conditional else {}
                with transaction.atomic():
                    response = world.callers[name](method, path, body, **sent)
                    transaction.set_rollback(True)
                if response.status_code != int(status):
                    wrong.append(f"{method} {template} on {subject} as {name}: {response.status_code}, not {status}")
    assert not wrong, "\n".join(wrong)


HIDDEN = ("anonymous", "outsider", "reviewer")


def test_a_hidden_incident_looks_like_one_that_does_not_exist(world: World):
    """The same response, byte for byte, with and without a precondition, so that it does not reveal the incident."""
    for (method, template), row in MATRIX.items():
        if "{ref}" not in template:
            continue
        path = world.path(template, "private" if "{number}" in template else "draft", row)
        nowhere = re.sub(r"INC-\d+", "INC-999999", path)
        for name in ("anonymous", "outsider"):
            for sent in ({},) if method == "GET" else ({}, {"if_match": '"1"'}):
                hidden, never = (world.callers[name](method, p, row.body, **sent) for p in (path, nowhere))
                assert hidden.status_code in (401, 404)
                assert (hidden.status_code, hidden.content) == (never.status_code, never.content), (method, path, name)


@pytest.mark.parametrize("hidden_as", ["draft", "in_review", "published", "reopened", "archived"])
def test_hidden_incidents_leave_no_trace_in_any_list(world: World, cast: Cast, hidden_as: str):
    """Their titles, refs, organizations and services appear in nothing that another team reads."""
    author, lead = cast.viewer("author"), cast.viewer("lead")
    # An incident that was never published is visible only to its team, whatever its visibility.
    visibility = "public" if hidden_as in ("draft", "in_review") else "team"
    secret = begin(cast, "Zanzibar", visibility=visibility, organization="Zanzibar Ltd", services=["zanzibar-db"])
    fill(cast, secret, text="Zanzibar had no power.")
    add_link(actor=author, incident_id=world.incidents["public"].pk, kind="related", to=secret.ref)
    if hidden_as == "in_review":
        lifecycle.submit(actor=author, incident_id=secret.pk, reviewers=["admin@acme.example"])
    if hidden_as in ("published", "reopened", "archived"):
        lifecycle.publish(actor=lead, incident_id=secret.pk)
    if hidden_as == "reopened":
        lifecycle.reopen(actor=author, incident_id=secret.pk)
    if hidden_as == "archived":
        lifecycle.archive(actor=lead, incident_id=secret.pk)
    relay.drain()
    q = "zanzibar+status:archived" if hidden_as == "archived" else "zanzibar"
    public = world.incidents["public"].ref
    lists = [
        "incidents?page_size=100",
        "organizations?page_size=100",
        "services?page_size=100",
        "patterns?page_size=100",
        "search?q=zanzibar",
        "search?q=zanzibar+status:archived",
        "search?page_size=100",
        "search?q=status:archived&page_size=100",
        f"incidents/{public}",
        f"incidents/{public}/links",
        f"incidents/{public}/export?format=json",
        f"incidents/{public}/export?format=markdown",
    ]
    for name in HIDDEN:
        for path in lists:
            text = world.callers[name].get(path).content.decode().lower()
            assert "zanzibar" not in re.sub(r'"(query|next)": ?"[^"]*"', "", text), (name, path)
            assert f'"{secret.ref.lower()}"' not in text, (name, path)
    assert "zanzibar" in world.callers["author"].get(f"incidents/{public}/links").content.decode().lower()
    found, hidden = (world.callers[name].get(f"search?q={q}").json() for name in ("author", "outsider"))
    assert [result["ref"] for result in found["results"]] == [secret.ref]
    assert {value["value"]: value["count"] for value in found["facets"]["organization"]} == {"Zanzibar Ltd": 1}
    assert (hidden["total"], hidden["facets"]["organization"], hidden["corrections"]) == (0, [], [])


def test_the_audit_trail_omits_links_to_incidents_that_its_reader_cannot_see(world: World, cast: Cast):
    outsiders = create_incident(actor=cast.viewer("outsider"), facts={"title": "Theirs", "team": "payments"})
    draft = world.incidents["draft"]
    link, _ = add_link(actor=cast.viewer("admin"), incident_id=draft.pk, kind="related", to=outsiders.ref)
    world.callers["admin"].delete(f"incidents/{draft.ref}/links/{link.uuid}")
    audit = f"incidents/{draft.ref}/audit?page_size=100"
    seen = [
        entry
        for entry in world.callers["author"].get(audit).json()["results"]
        if entry["object_type"] == "incidentlink"
    ]
    assert [entry["change"].get("to") for entry in seen] == [world.ids["hub"]]
    everything = world.callers["admin"].get(audit).json()["results"]
    assert {"link.added", "link.removed"} <= {e["action"] for e in everything if e["object_id"] == str(link.uuid)}


def test_anonymous_callers_cannot_see_the_templates_of_teams(world: World):
    world.callers["lead"].post("templates", MATRIX["POST", "/api/v1/templates"].body)
    assert world.callers["outsider"].get("templates/short").status_code == 200
    assert world.callers["anonymous"].get("templates/short").status_code == 404
    assert PostmortemTemplate.objects.filter(key="short").exists()
