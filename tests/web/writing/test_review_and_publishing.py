"""From draft to published and back on the pages: reviewers, what is missing, and messages."""

from __future__ import annotations

import pytest
from django.core import mail

from incidents.actions import lifecycle
from incidents.actions.sections import change_section
from incidents.models import Incident, Membership, User
from incidents.vocabulary import Role
from tests.conftest import fill
from tests.web.writing.conftest import forms_in, kept_texts, text_of


@pytest.fixture
def complete(cast, draft):
    incident = draft("Cache went cold")
    fill(cast, incident)
    return incident


def ask(cast, incident, *names):
    addresses = [f"{name}@acme.example" for name in names or ("reviewer",)]
    return lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=addresses)


def state(incident):
    incident.refresh_from_db()
    return incident.status


# --- Asking and deciding -----------------------------------------------------------------------------
def test_an_author_asks_people_and_they_decide_on_the_page(cast, complete, browser):
    author, reviewer = browser("author"), browser("reviewer")
    address = f"/incidents/{complete.ref}/review"
    assert reviewer.get(address).status_code == 404
    form = forms_in(author.get(address))["ask"]
    response = author.post(form.action, form.with_(reviewers=["reviewer@acme.example", ""]), follow=True)
    assert state(complete) == "in_review"
    assert "Reviewer Asked" in text_of(response)
    form = forms_in(reviewer.get(address))[f"{address}/decide"]
    response = reviewer.post(form.action, form.with_(decision="approve", comment="Clear."))
    assert response.status_code == 302
    page = text_of(author.get(address))
    assert "Approved" in page
    assert "Clear." in page


def test_team_members_are_offered_as_reviewers_and_oneself_is_not(cast, complete, browser):
    page = browser("author").get(f"/incidents/{complete.ref}/review").content.decode()
    ticks = page.split('<div class="choices">')[1].split("</div>")[0]
    assert 'value="lead@acme.example"' in ticks
    assert 'value="author@acme.example"' not in page
    assert '<option value="outsider@acme.example">' in page


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Name at least one reviewer."),
        ("nobody@acme.example", "No active user has the address nobody@acme.example."),
        ("author@acme.example", "Choose someone other than yourself to review it."),
        ("a\x00b", "NUL"),
        ("<script>alert(1)</script>", "No active user has the address"),
    ],
)
def test_an_invalid_reviewer_is_reported(cast, complete, browser, address, words):
    response = browser("author").post(f"/incidents/{complete.ref}/review/ask", {"reviewers": address})
    assert response.status_code == 400
    assert words in text_of(response)
    assert "<script>alert" not in response.content.decode()
    assert state(complete) == "draft"


def test_requesting_changes_needs_a_comment_and_returns_it_to_draft(cast, complete, browser):
    ask(cast, complete)
    reviewer, address = browser("reviewer"), f"/incidents/{complete.ref}/review"
    form = forms_in(reviewer.get(address))[f"{address}/decide"]
    response = reviewer.post(form.action, form.with_(decision="changes", comment="  "))
    assert response.status_code == 400
    assert "Say what should change." in text_of(response)
    reviewer.post(form.action, form.with_(decision="changes", comment="Which **tool** flushed it?"))
    assert state(complete) == "draft"
    page = browser("author").get(address).content.decode()
    assert "Which <strong>tool</strong> flushed it?" in page


def test_requested_changes_are_shown_to_the_author_until_the_next_review(cast, complete, browser):
    ask(cast, complete)
    said = {"approve": False, "comment": "Which **tool** flushed it?"}
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=complete.pk, **said)
    author, editor = browser("author"), f"/incidents/{complete.ref}/edit"
    assert "changes requested by Reviewer" in text_of(author.get("/"))
    page = author.get(editor).content.decode()
    assert "Reviewer requested changes" in page
    assert "Which <strong>tool</strong> flushed it?" in page
    ask(cast, complete)
    assert "changes requested" not in text_of(author.get("/"))
    assert "requested changes" not in text_of(author.get(editor))


def test_a_stale_text_cannot_be_approved(cast, complete, browser):
    ask(cast, complete)
    reviewer, address = browser("reviewer"), f"/incidents/{complete.ref}/review"
    form = forms_in(reviewer.get(address))[f"{address}/decide"]
    change_section(actor=cast.viewer("author"), incident_id=complete.pk, key="summary", body="Something else.")
    response = reviewer.post(form.action, form.with_(decision="approve", comment="Fine by me"))
    assert response.status_code == 409
    assert "changed after you opened" in text_of(response)
    assert "Fine by me" in response.content.decode()
    assert not complete.reviews.filter(state="approved").exists()


def test_an_approval_of_an_earlier_text_is_shown_as_such(cast, complete, browser):
    ask(cast, complete)
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=complete.pk, approve=True)
    change_section(actor=cast.viewer("author"), incident_id=complete.pk, key="summary", body="Something else.")
    author = browser("author")
    assert "for an earlier text" in text_of(author.get(f"/incidents/{complete.ref}/review"))
    assert "Approval required" in text_of(author.get(f"/incidents/{complete.ref}/publish"))


def test_asking_another_reviewer_keeps_the_current_ones_unless_they_are_unchecked(cast, complete, browser):
    ask(cast, complete, "reviewer", "outsider")
    author, address = browser("author"), f"/incidents/{complete.ref}/review"
    page = author.get(address)
    assert "Anyone you leave out is no longer a reviewer" in text_of(page)
    form = forms_in(page)["ask"]
    assert sorted(filter(None, form.values["reviewers"])) == ["outsider@acme.example", "reviewer@acme.example"]
    author.post(form.action, form.with_(reviewers=[*form.values["reviewers"], "lead@acme.example"]))
    for name in ("reviewer", "outsider", "lead"):
        assert "Your review is requested" in text_of(browser(name).get(address))
    form = forms_in(author.get(address))["ask"]
    refused = author.post(form.action, form.with_(reviewers=["lead@acme.example", "nobody@acme.example"]))
    assert forms_in(refused)["ask"].values["reviewers"] == ["lead@acme.example", "nobody@acme.example"]
    author.post(form.action, form.with_(reviewers=["lead@acme.example", ""]))
    assert browser("reviewer").get(address).status_code == 404


def test_current_reviewers_are_listed_however_large_the_team_is(cast, complete, browser):
    for place in range(40):
        person = User.objects.create(email=f"a{place}@acme.example", name=f"A {place}")
        Membership.objects.create(user=person, team=complete.team, role=Role.READER)
    ask(cast, complete)
    form = forms_in(browser("author").get(f"/incidents/{complete.ref}/review"))["ask"]
    assert form.values["reviewers"] == ["reviewer@acme.example", ""]


def test_an_approval_from_an_earlier_round_is_not_shown_as_one_of_an_earlier_text(cast, complete, browser):
    ask(cast, complete)
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=complete.pk, approve=True)
    ask(cast, complete, "lead")
    page = text_of(browser("author").get(f"/incidents/{complete.ref}/review"))
    assert "Reviewer Approved in an earlier round" in page


def test_comments_from_an_earlier_round_are_shown_below_the_current_reviewers(cast, complete, browser):
    ask(cast, complete)
    lifecycle.review(
        actor=cast.viewer("reviewer"), incident_id=complete.pk, approve=False, comment="Say when it was rebuilt."
    )
    ask(cast, complete)
    page = text_of(browser("author").get(f"/incidents/{complete.ref}/review"))
    assert page.index("Reviewer Asked") < page.index("in an earlier round") < page.index("Say when it was rebuilt.")
    assert "for an earlier text" not in page


def test_a_review_can_be_withdrawn(cast, complete, browser):
    ask(cast, complete)
    browser("author").post(f"/incidents/{complete.ref}/review/withdraw")
    assert state(complete) == "draft"


def test_only_reviewers_can_decide(cast, complete, browser):
    ask(cast, complete)
    address = f"/incidents/{complete.ref}/review/decide"
    sent = {"decision": "approve", "version": str(complete.version)}
    complete.refresh_from_db()
    assert browser("lead").post(address, sent).status_code == 403
    assert browser("outsider").post(address, sent).status_code == 404
    assert "Your review is requested" not in text_of(browser("lead").get(f"/incidents/{complete.ref}/review"))


def decision_of(client, incident):
    """The form in which a reviewer decides."""
    address = f"/incidents/{incident.ref}/review"
    return forms_in(client.get(address))[f"{address}/decide"]


def withdraw(cast, incident):
    lifecycle.withdraw(actor=cast.viewer("author"), incident_id=incident.pk)


def publish(cast, incident):
    lifecycle.publish(actor=cast.viewer("admin"), incident_id=incident.pk)


def ask_others(cast, incident):
    ask(cast, incident, "outsider")


def request_changes(cast, incident):
    said = {"approve": False, "comment": "Say when."}
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, **said)


@pytest.mark.parametrize(
    ("name", "meanwhile", "status", "words"),
    [
        ("lead", withdraw, 403, "The review ended while you were writing: {} is a draft again."),
        ("lead", publish, 403, "The review ended while you were writing: {} is published now."),
        ("lead", ask_others, 403, "You are not a reviewer of {} now. A new review may have been started"),
        ("lead", request_changes, 409, "The review ended while you were writing: {} is a draft again."),
        # Those who no longer see the working copy, and those who no longer see the incident.
        ("reviewer", publish, 403, "The review ended while you were writing: {} is published now."),
        ("reviewer", withdraw, 404, "If you were asked for one, it ended while you were writing."),
    ],
)
def test_a_comment_is_given_back_when_the_review_ended_while_it_was_written(
    cast, complete, browser, name, meanwhile, status, words
):
    ask(cast, complete, "lead", "reviewer")
    client = browser(name)
    form = decision_of(client, complete)
    meanwhile(cast, complete)
    response = client.post(form.action, form.with_(decision="changes", comment="An hour of <b>thought</b>."))
    assert response.status_code == status
    assert words.format(complete.ref) in text_of(response)
    assert kept_texts(response) == ["An hour of <b>thought</b>."]


def test_a_reviewer_who_changed_the_text_can_request_changes_but_is_not_offered_to_approve(cast, complete, browser):
    ask(cast, complete, "lead")
    change_section(actor=cast.viewer("lead"), incident_id=complete.pk, key="summary", body="Something else.")
    lead, address = browser("lead"), f"/incidents/{complete.ref}/review"
    page = lead.get(address)
    assert "You changed this text during the review, so someone else has to approve it." in text_of(page)
    assert 'value="approve"' not in page.content.decode()
    form = decision_of(lead, complete)
    refused = lead.post(form.action, form.with_(decision="approve", comment="Fine by me"))
    assert refused.status_code == 403
    assert forms_in(refused)[form.action].values["comment"] == ["Fine by me"]
    assert lead.post(form.action, form.with_(decision="changes", comment="Say when.")).status_code == 302
    assert state(complete) == "draft"


def test_the_review_page_says_whether_one_approved_the_current_text(cast, complete, browser):
    ask(cast, complete)
    reviewer, address = browser("reviewer"), f"/incidents/{complete.ref}/review"
    assert "Your review is requested" in text_of(reviewer.get(address))
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=complete.pk, approve=True)
    page = reviewer.get(address)
    assert "You approved this text" in text_of(page)
    assert "Your review is requested" not in text_of(page)
    assert 'value="approve"' not in page.content.decode()
    change_section(actor=cast.viewer("author"), incident_id=complete.pk, key="summary", body="Something else.")
    page = reviewer.get(address)
    assert "The text changed after you approved it" in text_of(page)
    assert 'value="approve"' in page.content.decode()


def test_a_reviewer_who_had_not_decided_when_changes_were_requested_is_not_shown_as_asked(cast, complete, browser):
    ask(cast, complete, "lead", "reviewer")
    page = f"/incidents/{complete.ref}/review"
    assert "Lead Asked" in text_of(browser("author").get(page))
    request_changes(cast, complete)
    assert "Lead Not decided" in text_of(browser("author").get(page))


def test_the_review_page_of_a_published_postmortem_has_nothing_left_to_do(cast, published, browser):
    incident = published()
    page = text_of(browser("author").get(f"/incidents/{incident.ref}/review"))
    assert "Review: " in page
    assert "Before you publish" not in page
    assert "Back to the editor" not in page


def test_reviewers_are_mailed_if_mail_is_set_up(cast, complete, browser, settings):
    settings.EMAIL_URL = "smtp://mail.acme.example"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    browser("author").post(f"/incidents/{complete.ref}/review/ask", {"reviewers": "reviewer@acme.example"})
    (sent,) = mail.outbox
    assert sent.to == ["reviewer@acme.example"]
    assert f"{settings.BASE_URL}/incidents/{complete.ref}/review" in sent.body


def test_a_failing_mail_server_is_reported_and_does_not_block_the_review(cast, complete, browser, settings):
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    response = browser("author").post(
        f"/incidents/{complete.ref}/review/ask", {"reviewers": "reviewer@acme.example"}, follow=True
    )
    assert state(complete) == "in_review"
    assert "No e-mail could be sent to reviewer@acme.example" in text_of(response)


def test_without_a_mail_server_nothing_is_sent_and_the_page_says_what_to_do(cast, complete, browser):
    response = browser("author").post(
        f"/incidents/{complete.ref}/review/ask", {"reviewers": "reviewer@acme.example"}, follow=True
    )
    assert mail.outbox == []
    assert "will see it on their start page" in text_of(response)


# --- Publishing --------------------------------------------------------------------------------------
def test_what_is_missing_is_listed_with_links_to_it(cast, draft, browser):
    incident = draft()
    response = browser("lead").get(f"/incidents/{incident.ref}/publish")
    page = response.content.decode()
    for key in ("summary", "impact", "timeline", "causes", "lessons", "actions"):
        assert f'href="/incidents/{incident.ref}/edit#section-{key}"' in page
    assert "Summary: no text yet" in text_of(response)
    refused = browser("lead").post(f"/incidents/{incident.ref}/publish/now", {"version": "1"})
    assert refused.status_code == 409
    assert "Summary: no text yet" in text_of(refused)
    assert state(incident) == "draft"


def test_a_lead_publishes_with_a_note(cast, complete, browser):
    lead, address = browser("lead"), f"/incidents/{complete.ref}/publish"
    form = forms_in(lead.get(address))[f"{address}/now"]
    response = lead.post(form.action, form.with_(note="First account"), follow=True)
    assert "Published as revision 1." in text_of(response)
    assert state(complete) == "published"
    assert complete.revisions.get().note == "First account"


def test_an_author_can_publish_an_approved_text(cast, complete, browser):
    author, address = browser("author"), f"/incidents/{complete.ref}/publish"
    assert "Approval required" in text_of(author.get(address))
    complete.refresh_from_db()
    refused = author.post(f"{address}/now", {"version": str(complete.version)})
    assert refused.status_code == 409
    assert "Send it for review" in text_of(refused)
    ask(cast, complete)
    complete.refresh_from_db()
    waiting = author.get(address), author.post(f"{address}/now", {"version": str(complete.version)})
    for response in waiting:
        assert "Send it for review" not in text_of(response)
        assert "ask a team lead to publish it" in text_of(response)
    lifecycle.review(actor=cast.viewer("reviewer"), incident_id=complete.pk, approve=True)
    response = author.get(address)
    assert "Approved by Reviewer" in text_of(response)
    form = forms_in(response)[f"{address}/now"]
    assert author.post(form.action, form.values).status_code == 302
    assert state(complete) == "published"


def test_a_stale_text_cannot_be_published(cast, complete, browser):
    lead, address = browser("lead"), f"/incidents/{complete.ref}/publish"
    form = forms_in(lead.get(address))[f"{address}/now"]
    change_section(actor=cast.viewer("author"), incident_id=complete.pk, key="summary", body="Something else.")
    response = lead.post(form.action, form.with_(note="My note"))
    assert response.status_code == 409
    assert 'value="My note"' in response.content.decode()
    assert state(complete) == "draft"


def test_a_note_that_is_too_long_is_shown_again(cast, complete, browser):
    complete.refresh_from_db()
    sent = {"version": str(complete.version), "note": "n" * 501}
    response = browser("lead").post(f"/incidents/{complete.ref}/publish/now", sent)
    assert response.status_code == 400
    assert "at most 500 characters" in text_of(response)


def test_reopening_opens_the_editor_and_readers_keep_the_published_text(cast, published, browser):
    incident = published(text="The first text.")
    response = browser("author").post(f"/incidents/{incident.ref}/reopen", follow=True)
    assert "Readers see revision 1" in text_of(response)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="The second text.")
    assert "The first text." in text_of(browser("outsider").get(f"/incidents/{incident.ref}"))


def test_a_published_postmortem_cannot_be_edited_until_it_is_reopened(cast, published, browser):
    incident = published()
    response = browser("author").get(f"/incidents/{incident.ref}/edit", follow=True)
    assert response.redirect_chain == [(f"/incidents/{incident.ref}", 302)]
    assert "Reopen it to change its text" in text_of(response)
    sent = {"body": "Quietly different.", "version": "2"}
    assert browser("author").post(f"/incidents/{incident.ref}/edit/sections/summary", sent).status_code == 409
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    response = browser("author").get(f"/incidents/{incident.ref}/edit", follow=True)
    assert "is archived. Restore it from the archive and reopen it to change its text." in text_of(response)


def test_a_postmortem_can_be_archived_and_restored(cast, published, browser):
    incident, lead = published(), browser("lead")
    assert lead.post(f"/incidents/{incident.ref}/archive").status_code == 302
    assert state(incident) == "archived"
    assert browser("author").post(f"/incidents/{incident.ref}/restore").status_code == 403
    assert lead.post(f"/incidents/{incident.ref}/restore").status_code == 302
    assert state(incident) == "published"


def test_deleting_asks_to_type_the_reference(cast, draft, browser):
    incident, lead = draft(), browser("lead")
    address = f"/incidents/{incident.ref}/delete"
    form = forms_in(lead.get(address))[f"{address}/now"]
    refused = lead.post(form.action, form.with_(confirm="INC-0"))
    assert refused.status_code == 400
    assert f"Type {incident.ref} to delete it." in text_of(refused)
    assert lead.post(form.action, form.with_(confirm=incident.ref.lower())).status_code == 302
    assert Incident.objects.get(pk=incident.pk).deleted_at is not None
    assert lead.get(f"/incidents/{incident.ref}").status_code == 404
