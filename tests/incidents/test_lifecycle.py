"""From draft to published and back: permissions, requirements, and what readers see meanwhile."""

from __future__ import annotations

import pytest

from incidents import scopes
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident, create_incident
from incidents.actions.organizations import set_membership
from incidents.actions.people import set_account_access
from incidents.actions.sections import change_section
from incidents.document import read, with_all_parts
from incidents.errors import Incomplete, Invalid, Missing, NotAllowed, WrongState
from incidents.models import Incident, OutboxEntry
from tests.conftest import fill


def reading(incident, viewer):
    return read(with_all_parts(scopes.visible_incidents(viewer)).get(pk=incident.pk), viewer)


def test_publishing_without_the_required_parts_says_what_is_missing(cast, draft):
    incident = draft()
    with pytest.raises(Incomplete) as refused:
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert set(refused.value.missing) == {"summary", "impact", "timeline", "causes", "lessons", "actions"}
    incident.refresh_from_db()
    assert incident.status == "draft"


def test_a_records_section_can_be_empty_with_a_reason(cast, draft):
    incident = draft()
    fill(cast, incident)
    incident.actionitems.all().delete()
    with pytest.raises(Incomplete) as refused:
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert set(refused.value.missing) == {"actions"}
    change_section(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        key="actions",
        none_reason="The service is retired",
    )
    assert lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk).number == 1


def test_an_author_can_publish_only_what_a_reviewer_approved(cast, draft):
    incident = draft()
    fill(cast, incident)
    with pytest.raises((NotAllowed, WrongState)):
        lifecycle.publish(actor=cast.viewer("author"), incident_id=incident.pk)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    with pytest.raises(NotAllowed):
        lifecycle.publish(actor=cast.viewer("author"), incident_id=incident.pk)
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=True)
    assert lifecycle.publish(actor=cast.viewer("author"), incident_id=incident.pk).number == 1


def test_the_approval_of_someone_whose_account_was_closed_does_not_count(cast, draft):
    incident = draft()
    fill(cast, incident)
    author = cast.viewer("author")
    lifecycle.submit(actor=author, incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    incident.refresh_from_db()
    lifecycle.review(
        actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=True, expected_version=incident.version
    )
    set_account_access(actor=cast.viewer("admin"), user_id=cast.reviewer.pk, is_active=False)
    with pytest.raises((NotAllowed, WrongState)):
        lifecycle.publish(actor=author, incident_id=incident.pk)


@pytest.fixture
def in_payments(cast):
    """The author of Checkout, who also leads Payments."""
    set_membership(actor=cast.viewer("admin"), team_id=cast.payments.pk, user=cast.author, role="lead")
    return cast.viewer("author")


def move(actor, incident, team):
    return change_incident(actor=actor, incident_id=incident.pk, facts={"team": team})[0]


def test_an_author_can_move_only_a_draft_of_their_own_that_nobody_has_been_shown(cast, draft, in_payments):
    own = draft("Own")
    facts = {"title": "By the lead", "team": "checkout"}
    others = create_incident(actor=cast.viewer("lead"), facts=facts)
    assert move(in_payments, own, "payments").team == cast.payments
    move(in_payments, own, "checkout")
    lifecycle.submit(actor=in_payments, incident_id=own.pk, reviewers=["reviewer@acme.example"])
    for incident in (own, others):
        with pytest.raises(Invalid) as refused:
            move(in_payments, incident, "payments")
        assert set(refused.value.fields) == {"team"}
    set_membership(actor=cast.viewer("admin"), team_id=cast.checkout.pk, user=cast.author, role="lead")
    assert move(cast.viewer("author"), others, "payments").team == cast.payments


def test_only_a_lead_takes_a_published_incident_into_their_team(cast, draft, in_payments):
    incident = draft()
    fill(cast, incident)
    move(in_payments, incident, "payments")
    lifecycle.publish(actor=in_payments, incident_id=incident.pk)
    with pytest.raises(Invalid) as refused:
        move(in_payments, incident, "checkout")
    assert "Only a lead of Checkout" in refused.value.fields["team"][0]
    assert move(cast.viewer("admin"), incident, "checkout").team == cast.checkout


def test_an_approval_does_not_cover_later_changes(cast, draft):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=True)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Something else entirely.")
    with pytest.raises(NotAllowed):
        lifecycle.publish(actor=cast.viewer("author"), incident_id=incident.pk)


def test_requesting_changes_returns_it_to_draft(cast, draft):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=False, comment="Add the trigger.")
    incident.refresh_from_db()
    assert incident.status == "draft"
    assert incident.reviews.get().comment == "Add the trigger."


def test_only_a_requested_reviewer_can_decide(cast, draft):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    with pytest.raises(Missing):
        lifecycle.review(actor=cast.viewer("outsider"), incident_id=incident.pk, approve=True)
    with pytest.raises(NotAllowed):
        lifecycle.review(actor=cast.viewer("lead"), incident_id=incident.pk, approve=True)


def test_a_reopened_postmortem_keeps_its_published_text_for_everyone_else(cast, published):
    incident = published(text="The first text.")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="The second text.")
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"title": "A second title"})

    def seen(name):
        document = reading(incident, cast.viewer(name)).document
        summary = next(s["body"] for s in document["sections"] if s["key"] == "summary")
        return document["title"], summary, document["status"]

    assert seen("author") == ("A second title", "The second text.", "draft")
    for name in ("reader", "outsider", "reviewer"):
        assert seen(name) == ("Checkout returned errors", "The first text.", "published")
    assert incident.revisions.count() == 1
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert seen("outsider") == ("A second title", "The second text.", "published")


def test_published_text_cannot_be_changed_without_reopening(cast, published):
    incident = published()
    with pytest.raises(WrongState):
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Quietly different.")


def test_visibility_can_be_narrowed_without_reopening(cast, published):
    incident = published(visibility="public")
    OutboxEntry.objects.all().delete()
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    assert not scopes.visible_incidents(cast.viewer("anonymous")).filter(pk=incident.pk).exists()
    assert set(OutboxEntry.objects.filter(incident_id=incident.pk).values_list("narrows", flat=True)) == {True}


def test_a_step_that_is_refused_enqueues_nothing(cast, draft):
    OutboxEntry.objects.all().delete()
    incident = Incident.objects.get(pk=draft().pk)
    OutboxEntry.objects.all().delete()
    before = incident.index_version
    with pytest.raises(Incomplete):
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    incident.refresh_from_db()
    assert incident.index_version == before
    assert not OutboxEntry.objects.exists()


def test_readers_of_a_reopened_postmortem_do_not_see_the_organization_and_services_of_its_draft(cast, published):
    incident = published(visibility="public", services=["Checkout"])
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_incident(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        facts={"organization": "SecretCorp", "services": ["Project Nimbus"]},
    )
    document = reading(incident, cast.viewer("anonymous")).document
    assert (document["organization"]["name"], document["services"]) == ("Acme", ["Checkout"])
