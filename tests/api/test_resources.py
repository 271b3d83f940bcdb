"""Organizations, services, teams, templates, patterns and links through the API."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext

from incidents import template
from incidents.actions import organizations
from incidents.actions.change import audit
from incidents.actions.incidents import create_incident
from incidents.actions.lifecycle import archive
from incidents.actions.organizations import (
    create_organization,
    create_service,
    create_team,
    delete_organization,
    delete_service,
    delete_team,
    save_template,
)
from incidents.models import AuditEntry, Membership, OutboxEntry, PostmortemTemplate, Team
from kb.patterns.models import Pattern, Tag, TagState
from tests.api.conftest import codes, fields
from tests.conftest import in_another_connection


@pytest.fixture
def retry_storm(db) -> Pattern:
    return Pattern.objects.get_or_create(
        slug="retry-storm", defaults={"name": "Retry storm", "family": "load", "counts": "Retries."}
    )[0]


def tag(incident, pattern, state=TagState.CONFIRMED) -> None:
    Tag.objects.create(incident=incident, pattern=pattern, source="curator", state=state)


def test_admins_manage_organizations_and_names_are_unique(api, published):
    admin = api("admin")
    made = admin.post("organizations", {"name": "Globex", "website": "https://globex.example"})
    assert made.json()["slug"] == "globex"
    assert fields(admin.post("organizations", {"name": "GLOBEX"})) == {"name"}
    assert codes(api("author").get("organizations/globex")) == (404, "not_found")
    published(organization="Globex", visibility="public")
    assert api("anonymous").get("organizations/globex").json()["incidents"] == 1
    assert codes(admin.delete(made["Location"])) == (409, "wrong_state")


def test_the_incident_count_of_an_organization_includes_only_what_the_caller_sees(api, cast, draft, published):
    published(visibility="public")
    published(visibility="internal")
    draft()
    counts = {
        name: api(name).get("organizations/acme").json()["incidents"]
        for name in ("anonymous", "outsider", "reader", "admin")
    }
    assert counts == {"anonymous": 1, "outsider": 2, "reader": 3, "admin": 3}


def test_services_can_be_filtered_by_organization_and_team(api, draft):
    lead = api("lead")
    made = lead.post("services", {"name": "Cart", "team": "checkout"})
    assert fields(lead.post("services", {"name": "cart", "team": "checkout"})) == {"name"}
    draft(services=["Ledger"])
    names = lambda query: [s["name"] for s in lead.get(f"services{query}").json()["results"]]  # noqa: E731
    assert names("") == ["Cart", "Ledger"]
    assert names("?team=checkout") == ["Cart"]
    assert names("?organization=acme&organization=globex") == ["Cart", "Ledger"]
    assert names("?organization=globex") == []
    assert names("?organization=ACME") == ["Cart", "Ledger"]
    assert codes(api("outsider").get(lead.get("services").json()["results"][1]["url"])) == (404, "not_found")
    assert lead.patch(made["Location"], {"name": "Basket"}).json()["name"] == "Basket"
    assert lead.delete(made["Location"]).status_code == 204


def test_an_update_without_a_difference_writes_nothing(api, published):
    admin, incident = api("admin"), published(services=["Cart"])
    (service,) = admin.get("services").json()["results"]
    OutboxEntry.objects.all().delete()
    AuditEntry.objects.all().delete()
    for address in ("organizations/acme", "teams/checkout", f"services/{service['id']}"):
        before = admin.get(address)
        same = {
            name: before.json()[name] for name in ("name", "website", "sector", "description") if name in before.json()
        }
        for body in ({}, same):
            assert admin.patch(address, body, if_match=before["ETag"])["ETag"] == before["ETag"]
    assert not AuditEntry.objects.exists()
    assert not OutboxEntry.objects.exists()
    assert admin.patch("organizations/acme", {"sector": "retail"}).json()["version"] == 2
    assert OutboxEntry.objects.filter(incident_id=incident.pk).exists()


@pytest.mark.postgres_only
def test_membership_is_checked_under_the_row_lock_of_the_team(api):
    admin = api("admin")
    with CaptureQueriesContext(connection) as asked:
        admin.post("teams/checkout/members", {"email": "outsider@acme.example", "role": "reader"})
    statements = [query["sql"] for query in asked]
    locked = next(place for place, sql in enumerate(statements) if "FOR NO KEY UPDATE" in sql)
    looked = next(
        place for place, sql in enumerate(statements) if sql.startswith('SELECT 1 AS "a" FROM "incidents_membership"')
    )
    assert locked < looked


def test_a_team_keeps_a_lead(api, cast):
    lead = api("lead")
    me = f"teams/checkout/members/{cast.lead.pk}"
    assert fields(lead.patch(me, {"role": "author"})) == {"role"}
    assert fields(lead.delete(me)) == {"role"}
    assert codes(lead.post("teams/checkout/members", {"email": "author@acme.example", "role": "lead"})) == (
        409,
        "wrong_state",
    )
    assert fields(lead.post("teams/checkout/members", {"email": "x@y.example", "role": "lead"})) == {"email"}
    taken = lead.post("teams/checkout/members", {"email": "Outsider@acme.example", "role": "lead"})
    assert taken["ETag"] == '"lead"'
    assert lead.patch(me, {"role": "author"}).json()["role"] == "author"
    assert Membership.objects.get(user=cast.lead).role == "author"


def test_a_template_without_the_required_sections_is_refused(api):
    sections = [{"key": "summary", "title": "Summary", "kind": "prose"}]
    refused = api("lead").post("templates", {"key": "short", "name": "Short", "team": "checkout", "sections": sections})
    assert fields(refused) == {"sections"}
    assert "impact, timeline" in refused.json()["detail"]
    assert fields(api("lead").post("templates", {"key": "standard", "name": "Mine", "sections": sections})) == {"key"}


def test_a_postmortem_starts_from_the_given_template(api):
    lead = api("lead")
    sections = [s for s in lead.get("templates/standard").json()["sections"] if s.get("required")]
    lead.post("templates", {"key": "short", "name": "Short", "team": "checkout", "sections": sections})
    made = lead.post("incidents", {"title": "Brief", "template": "short"}).json()
    assert made["template"] == {"key": "short", "number": 1}
    assert [section["key"] for section in made["sections"]] == [section["key"] for section in sections]


def test_an_incident_lists_its_patterns_and_the_suggested_ones(api, draft, retry_storm):
    other = Pattern.objects.create(slug="zz-retired", name="Old", family="load", counts="x", status="retired")
    rejected = Pattern.objects.create(slug="zz-rejected", name="No", family="load", counts="x")
    suggested = Pattern.objects.create(slug="zz-suggested", name="Maybe", family="load", counts="x")
    incident = draft()
    tag(incident, retry_storm), tag(incident, other), tag(incident, rejected, TagState.REJECTED)
    tag(incident, suggested, TagState.SUGGESTED)
    for shown in (
        api("author").get(f"incidents/{incident.pk}").json(),
        api("author").get("incidents").json()["results"][0],
    ):
        assert (shown["patterns"], shown["suggested_patterns"]) == (["retry-storm"], ["zz-suggested"])


def test_the_incident_count_of_a_pattern_includes_only_what_the_caller_sees(api, cast, draft, published, retry_storm):
    archived = published(visibility="public")
    for incident in (draft(), published(visibility="public"), published(visibility="team"), archived):
        tag(incident, retry_storm)
    tag(published(visibility="public"), retry_storm, TagState.SUGGESTED)
    archive(actor=cast.viewer("lead"), incident_id=archived.pk)
    counts = {
        name: api(name).get("patterns/retry-storm").json()["incidents"]
        for name in ("anonymous", "outsider", "reader", "admin")
    }
    assert counts == {"anonymous": 1, "outsider": 1, "reader": 3, "admin": 3}
    slugs = [p["slug"] for p in api("anonymous").get("patterns?family=load").json()["results"]]
    assert "retry-storm" in slugs
    assert fields(api("anonymous").get("patterns?family=weather")) == {"family"}


def test_a_link_can_be_seen_and_changed_from_both_ends(api, draft):
    one, two = draft("One"), draft("Two")
    author = api("author")
    made = author.post(f"incidents/{one.pk}/links", {"kind": "caused_by", "to": two.ref, "note": "The same cache"})
    assert (made.json()["direction"], made.json()["incident"]["ref"]) == ("out", two.ref)
    (there,) = author.get(f"incidents/{two.pk}/links").json()["results"]
    assert (there["direction"], there["incident"]["ref"], there["id"]) == ("in", one.ref, made.json()["id"])
    address = f"incidents/{two.pk}/links/{there['id']}"
    changed = author.patch(address, {"note": "Another cache"}, if_match=made["ETag"])
    assert changed.json()["note"] == "Another cache"
    assert codes(author.delete(made["Location"], if_match=made["ETag"])) == (412, "stale")
    assert author.delete(made["Location"], if_match=changed["ETag"]).status_code == 204
    assert author.get(f"incidents/{one.pk}").json()["links"] == []


def test_a_link_to_a_hidden_incident_is_refused_as_if_it_did_not_exist(api, cast, draft):
    own = api("outsider").post("incidents", {"title": "Theirs", "team": "payments"}).json()
    hidden = draft()
    responses = {
        to: api("outsider").post(f"{own['url']}/links", {"kind": "related", "to": to}).content
        for to in (hidden.ref, "INC-999999", str(hidden.uuid))
    }
    assert len(set(responses.values())) == 1


def test_anonymous_callers_do_not_learn_the_team_of_an_incident(api, cast, published):
    published(visibility="public")
    anonymous, reader = api("anonymous"), api("outsider")
    assert anonymous.get("incidents").json()["results"][0]["team"] is None
    assert reader.get("incidents").json()["results"][0]["team"]["slug"] == "checkout"
    assert anonymous.get("incidents?team=checkout").json()["results"] == []
    assert len(reader.get("incidents?team=checkout").json()["results"]) == 1


def test_anonymous_callers_do_not_learn_the_team_of_a_service(api, cast, published):
    published(services=["Ledger"], visibility="public")
    service = api("admin").get("services").json()["results"][0]
    assert api("admin").patch(service["url"], {"team": "checkout"}).status_code == 200
    assert api("anonymous").get("services?team=checkout").json()["results"] == []
    assert len(api("outsider").get("services?team=checkout").json()["results"]) == 1


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_lost_race_for_a_template_key_is_an_error_or_the_next_version(api, cast):
    lead, sections = cast.viewer("lead"), template.shipped_definitions()[0]["sections"]

    def add_another(instance, **kept):
        """Runs between the check for an existing template and its creation."""
        pre_save.disconnect(add_another, PostmortemTemplate)
        theirs = {"key": instance.key, "name": "Theirs", "sections": sections}
        save = partial(save_template, actor=lead, definition=theirs, team=cast.checkout)
        assert in_another_connection(save) == []

    pre_save.connect(add_another, PostmortemTemplate)
    mine = {"name": "Mine", "sections": sections}
    refused = api("lead").post("templates", {**mine, "key": "short", "team": "checkout"})
    assert (codes(refused), fields(refused)) == ((400, "invalid"), {"key"})
    pre_save.connect(add_another, PostmortemTemplate)
    save_template(actor=lead, definition={**mine, "key": "brief"}, team=cast.checkout)
    saved = PostmortemTemplate.objects.filter(key__in=["short", "brief"]).order_by("key", "number")
    assert list(saved.values_list("key", "name", "number", "is_current")) == [
        ("brief", "Theirs", 1, False),
        ("brief", "Mine", 2, True),
        ("short", "Theirs", 1, True),
    ]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("deleted", "method", "path", "body"),
    [
        ("organization", "POST", "incidents", {"title": "Cold tea", "team": "checkout", "organization": "Kettle"}),
        ("organization", "PATCH", "incidents/{ref}", {"organization": "Kettle"}),
        ("organization", "POST", "services", {"name": "Tap", "organization": "kettle"}),
        ("service", "PATCH", "incidents/{ref}", {"services": ["Boiler"]}),
        ("team", "POST", "incidents", {"title": "Cold tea", "team": "tea"}),
        ("team", "PATCH", "services/{service}", {"team": "tea"}),
    ],
)
def test_a_change_that_refers_to_something_being_deleted_is_refused_and_leaves_nothing(
    api, cast, draft, deleted, method, path, body
):
    admin = cast.viewer("admin")
    kettle = create_organization(actor=admin, name="Kettle")
    tea = create_team(actor=admin, name="Tea")
    boiler = create_service(actor=admin, name="Boiler", organization=cast.home)
    other = create_service(actor=admin, name="Other", organization=cast.home)
    path = path.format(ref=draft().ref, service=other.uuid)
    send, answers, before = api("admin"), [], AuditEntry.objects.count()

    def refer_to_it():
        try:
            answers.append(send(method, path, body, if_match="*" if method == "PATCH" else None))
        finally:
            connection.close()

    writer = threading.Thread(target=refer_to_it)
    with transaction.atomic():
        if deleted == "organization":
            delete_organization(actor=admin, organization_id=kettle.pk)
        elif deleted == "service":
            delete_service(actor=admin, service_id=boiler.pk)
        else:
            delete_team(actor=admin, team_id=tea.pk)
        writer.start()
        writer.join(1)
        assert answers == [], "it waits for this transaction"
    writer.join(30)
    assert codes(answers[0]) == (409, "wrong_state")
    assert "was just deleted" in answers[0].json()["detail"]
    assert AuditEntry.objects.count() == before + 1


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_team_gets_no_incident_between_the_check_for_incidents_and_its_deletion(cast, monkeypatch):
    admin = cast.viewer("admin")
    tea = create_team(actor=admin, name="Tea")
    begun = []

    def begin_one(*given, **change):
        facts = {"title": "Cold tea", "team": "tea"}
        begun.extend(in_another_connection(partial(create_incident, actor=admin, facts=facts)))
        audit(*given, **change)

    monkeypatch.setattr(organizations, "audit", begin_one)
    delete_team(actor=admin, team_id=tea.pk)
    assert len(begun) == 1, "the other transaction waited"
    assert not Team.objects.filter(pk=tea.pk).exists()


def test_an_organization_is_deleted_once_nothing_is_about_it(api, draft):
    admin = api("admin")
    incident = draft(organization="Wallaroo Works")
    for path, words in (("acme", "home organization"), ("wallaroo-works", "without incidents")):
        refused = admin.delete(f"organizations/{path}", if_match="*")
        assert codes(refused) == (409, "wrong_state")
        assert words in refused.json()["detail"]
    assert api("lead").delete(f"incidents/{incident.ref}", if_match="*").status_code == 204
    assert "until they are purged" in admin.delete("organizations/wallaroo-works", if_match="*").json()["detail"]


def test_a_team_or_service_in_use_is_a_conflict_and_not_a_mistake_in_the_request(api, published):
    published(services=["Order Book"])
    (service,) = api("admin").get("services").json()["results"]
    for path in ("teams/checkout", f"services/{service['id']}"):
        assert codes(api("admin").delete(path)) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("section", "field", "message"),
    [
        ({"key": "extra", "title": "Extra", "kind": "prose", "guidence": "x"}, "guidence", "Did you mean guidance?"),
        ({"key": "Extra!", "title": "Extra", "kind": "prose"}, "key", "This must match ^[a-z][a-z0-9_]{1,38}$."),
        ({"key": "extra", "title": "Extra", "kind": "table"}, "kind", "Choose one of prose, records."),
        (
            {"key": "extra", "title": "Extra", "kind": "records", "records": "links"},
            "records",
            "Choose one of timeline,",
        ),
        ({"key": "extra", "title": "Extra"}, "kind", "This field is required."),
        (
            {"key": "extra", "title": "Extra", "kind": "records", "records": "sources"},
            "records",
            "belong in the section with that key",
        ),
        # The rows that others add to it would be shown nowhere.
        ({"key": "sources", "title": "Sources", "kind": "prose"}, "kind", "so its kind must be records"),
    ],
)
def test_a_mistake_in_a_section_of_a_template_is_named(api, section, field, message):
    sections = [s for s in api("lead").get("templates/standard").json()["sections"] if s.get("required")]
    body = {"key": "short", "name": "Short", "team": "checkout", "sections": [*sections, section]}
    (error,) = api("lead").post("templates", body).json()["errors"]
    assert error["field"] == f"sections.{len(sections)}.{field}"
    assert message in error["message"]


def test_a_template_without_sections_is_refused_in_words(api):
    body = {"key": "short", "name": "Short", "team": "checkout", "sections": []}
    (error,) = api("lead").post("templates", body).json()["errors"]
    assert (error["field"], error["message"]) == ("sections", "This needs at least one entry.")


@pytest.mark.parametrize("key", ["title", "external_id"])
def test_a_template_cannot_take_the_name_of_what_every_incident_has(api, key):
    sections = api("lead").get("templates/standard").json()["sections"]
    own = {"key": key, "title": "Own", "kind": "prose"}
    body = {"key": "short", "name": "Short", "team": "checkout", "sections": [*sections, own]}
    (error,) = api("lead").post("templates", body).json()["errors"]
    assert (error["field"], error["message"]) == ("sections", f"The key {key} is reserved. Choose another.")
