"""Rounds of review: former reviewers see and approve no later draft, and no one approves their own text."""

from __future__ import annotations

import pytest

from incidents.actions import lifecycle
from incidents.actions.organizations import set_membership
from incidents.actions.sections import change_section
from incidents.errors import Missing, NotAllowed, WrongState
from incidents.models import OutboxEntry
from incidents.scopes import Viewer, visible_incidents
from tests.conftest import fill

REVIEWER = "reviewer@acme.example"


@pytest.fixture
def in_review(cast, draft):
    incident = draft(visibility="team")
    fill(cast, incident)
    ask(cast, incident, REVIEWER)
    return incident


def ask(cast, incident, *addresses):
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=list(addresses))


def sees(cast, name, incident):
    return visible_incidents(cast.viewer(name)).filter(pk=incident.pk).exists()


def approve(cast, incident, name="reviewer"):
    lifecycle.review(actor=cast.viewer(name), incident_id=incident.pk, approve=True)


def test_a_reviewer_of_an_earlier_round_sees_no_later_draft_and_cannot_approve_it(cast, in_review):
    approve(cast, in_review)
    lifecycle.publish(actor=cast.viewer("author"), incident_id=in_review.pk)
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=in_review.pk)
    assert not sees(cast, "reviewer", in_review)
    ask(cast, in_review, "outsider@acme.example")
    with pytest.raises(Missing):
        approve(cast, in_review)
    review = in_review.reviews.get(reviewer=cast.reviewer)
    assert (review.state, review.ended_at is None) == ("approved", False), "the decision is kept"


def test_a_reviewer_who_is_not_named_again_loses_access_and_search_is_notified(cast, in_review):
    OutboxEntry.objects.all().delete()
    ask(cast, in_review, "outsider@acme.example")
    assert (sees(cast, "reviewer", in_review), sees(cast, "outsider", in_review)) == (False, True)
    assert OutboxEntry.objects.get(incident_id=in_review.pk).narrows


def test_a_reviewer_who_is_named_again_must_decide_again(cast, in_review):
    approve(cast, in_review)
    ask(cast, in_review, REVIEWER)
    with pytest.raises(NotAllowed):
        lifecycle.publish(actor=cast.viewer("author"), incident_id=in_review.pk)
    approve(cast, in_review)
    lifecycle.publish(actor=cast.viewer("author"), incident_id=in_review.pk)


def test_a_decision_is_kept_when_the_same_reviewer_is_asked_again(cast, in_review):
    say = "Please say when the index was rebuilt."
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=in_review.pk, approve=False, comment=say)
    ask(cast, in_review, REVIEWER, "Reviewer@acme.example")
    before, now = in_review.reviews.order_by("pk")
    assert (before.comment, before.state, before.ended_at is None) == (say, "changes_requested", False)
    assert (now.comment, now.state, now.ended_at) == ("", "asked", None)
    assert now.asked_at > before.asked_at
    approve(cast, in_review)
    assert in_review.reviews.order_by("pk")[0].comment == say


def test_withdrawing_ends_the_round(cast, in_review):
    lifecycle.withdraw(actor=cast.viewer("author"), incident_id=in_review.pk)
    assert not sees(cast, "reviewer", in_review)


def test_a_round_that_asked_for_changes_can_be_ended_and_its_reviewer_reads_no_more(cast, draft, in_review):
    author = cast.viewer("author")
    with pytest.raises(WrongState):
        lifecycle.withdraw(actor=author, incident_id=draft().pk)
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=in_review.pk, approve=False, comment="Why?")
    assert sees(cast, "reviewer", in_review)
    lifecycle.withdraw(actor=author, incident_id=in_review.pk)
    assert not sees(cast, "reviewer", in_review)
    assert in_review.reviews.get().comment == "Why?"
    with pytest.raises(WrongState):
        lifecycle.withdraw(actor=author, incident_id=in_review.pk)


def test_a_reviewer_who_changed_the_text_in_review_cannot_approve_it(cast, in_review):
    ask(cast, in_review, REVIEWER, "reader@acme.example")
    set_membership(actor=Viewer.system(), team_id=cast.checkout.pk, user=cast.reviewer, role="author")
    change_section(actor=cast.viewer("reviewer"), incident_id=in_review.pk, key="summary", body="My own words.")
    with pytest.raises(NotAllowed, match="someone else has to approve"):
        approve(cast, in_review)
    approve(cast, in_review, "reader")
    lifecycle.publish(actor=cast.viewer("author"), incident_id=in_review.pk)


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("approves", [False, True])
def test_a_decision_for_a_round_that_has_ended_is_refused(cast, in_review, decided, approves):
    reviewer = cast.viewer("reviewer")
    if decided:
        approve(cast, in_review)
    ask(cast, in_review, "outsider@acme.example")
    in_review.refresh_from_db()
    # Like a request that started before the new round and was blocked by it.
    with pytest.raises(NotAllowed, match="no longer a reviewer"):
        lifecycle.review(actor=reviewer, incident_id=in_review.pk, approve=approves, comment="Name the cause.")
    assert in_review.reviews.get(reviewer=cast.outsider).state == "asked"
