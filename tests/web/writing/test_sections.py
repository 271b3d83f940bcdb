"""Writing prose: saved card by card, never silently over another user's text, and never lost."""

from __future__ import annotations

import pytest
from django.test import Client
from lxml.html import document_fromstring

from incidents.actions.lifecycle import publish
from incidents.actions.sections import change_section
from incidents.models import PostmortemSection
from incidents.text import SECTION_BYTES
from tests.conftest import fill
from tests.web.writing.conftest import forms_in, kept_texts, text_of


def body(incident, key="summary"):
    return PostmortemSection.objects.get(incident=incident, key=key).body


@pytest.mark.parametrize("htmx", [False, True])
def test_a_section_is_saved_on_its_own(cast, draft, writer, htmx):
    incident = draft()
    author = writer("author", incident)
    response = author.send(author.open()["form-section-summary"], htmx=htmx, body="It broke.\r\nThen not.")
    assert response.status_code == (200 if htmx else 302)
    assert body(incident) == "It broke.\nThen not."
    if not htmx:
        assert response["Location"].endswith("/edit#section-summary")


def test_an_htmx_answer_carries_the_new_version_and_what_is_missing_but_no_text(cast, draft, writer):
    author = writer("author", draft())
    page = author.send(author.open()["form-section-summary"], htmx=True, body="It broke.").content.decode()
    assert '<input type="hidden" name="version" value="2">' in page
    assert "It broke." not in page
    assert 'id="readiness"' in page


def test_a_second_save_from_the_same_page_uses_the_new_version(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    form = author.open()["form-section-summary"]
    author.send(form, htmx=True, body="One.")
    assert author.send(form, htmx=True, body="One. Two.").status_code == 409
    assert author.send(form, htmx=True, body="One. Two.", version="2").status_code == 200
    assert body(incident) == "One. Two."


def test_edits_to_different_sections_never_conflict(cast, draft, writer):
    incident = draft()
    author, lead = writer("author", incident), writer("lead", incident)
    mine, theirs = author.open()["form-section-summary"], lead.open()["form-section-impact"]
    assert author.send(mine, body="Mine.").status_code == 302
    assert lead.send(theirs, body="Theirs.").status_code == 302
    assert (body(incident), body(incident, "impact")) == ("Mine.", "Theirs.")


@pytest.mark.parametrize("htmx", [False, True])
def test_the_second_writer_gets_both_texts_and_nothing_is_lost(cast, draft, writer, htmx):
    incident = draft()
    author, lead = writer("author", incident), writer("lead", incident)
    mine, theirs = author.open()["form-section-summary"], lead.open()["form-section-summary"]
    author.send(mine, body="About 18% of checkouts failed.")
    response = lead.send(theirs, htmx=htmx, body="Nearly 20% of checkouts failed.")
    assert response.status_code == 409
    page, words = response.content.decode(), text_of(response)
    assert "Author saved this first" in words
    assert "<ins>Nearly 20</ins>" in page
    assert "<del>About 18</del>" in page
    assert body(incident) == "About 18% of checkouts failed."
    if not htmx:
        assert forms_in(response)["form-section-summary"].values["body"] == ["Nearly 20% of checkouts failed."]


def test_texts_that_are_hard_to_compare_are_shown_whole(cast, draft, writer):
    incident = draft()
    lead = writer("lead", incident)
    form = lead.open()["form-section-summary"]
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=",." * 315 + ",")
    page = lead.send(form, htmx=True, body="." * 630).content.decode()
    assert f"<ins>{'.' * 630}</ins>" in page
    assert f"<del>{',.' * 315},</del>" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_merged_text_can_overwrite_the_version_that_was_shown(cast, draft, writer, htmx):
    incident = draft()
    lead = writer("lead", incident)
    form = lead.open()["form-section-summary"]
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Theirs.")
    lead.send(form, body="Mine.")
    response = lead.send(form, htmx=htmx, body="Theirs. Mine.", over="2")
    assert response.status_code == (200 if htmx else 302)
    assert body(incident) == "Theirs. Mine."


def test_a_third_version_that_was_not_shown_is_not_overwritten_either(cast, draft, writer):
    incident = draft()
    lead = writer("lead", incident)
    form = lead.open()["form-section-summary"]
    for text in ("Second.", "Third."):
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=text)
    assert lead.send(form, body="Mine.", over="2").status_code == 409
    assert body(incident) == "Third."


@pytest.mark.parametrize("htmx", [False, True])
def test_taking_the_other_users_text_restores_it(cast, draft, writer, htmx):
    incident = draft()
    lead = writer("lead", incident)
    form = lead.open()["form-section-summary"]
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Theirs.")
    response = lead.send(form, htmx=htmx, body="Mine.", take="theirs")
    assert body(incident) == "Theirs."
    if htmx:
        assert '<div class="field prose is-text" id="field-section-summary-body" hx-swap-oob="true">' in (
            response.content.decode()
        )
    else:
        assert lead.open()["form-section-summary"].values["body"] == ["Theirs."]


def test_a_form_without_its_version_is_rejected(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    response = author.client.post(author.address("/sections/summary"), {"body": "Blind."})
    assert response.status_code == 400
    assert body(incident) == ""
    assert "Blind." in response.content.decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [("a\x00b", "NUL character"), ("é" * (SECTION_BYTES // 2 + 1), "at most 256 KiB")],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_rejected_text_is_shown_again_with_its_error(cast, draft, writer, text, words, htmx):
    incident = draft()
    author = writer("author", incident)
    response = author.send(author.open()["form-section-summary"], htmx=htmx, body=text)
    assert response.status_code == 400
    assert words in text_of(response)
    assert body(incident) == ""
    if not htmx:
        assert text[-1] in forms_in(response)["form-section-summary"].values["body"][0]


def test_an_unknown_section_is_a_404(cast, draft, writer):
    author = writer("author", draft())
    assert author.client.post(author.address("/sections/nothing"), {"body": "x", "version": "1"}).status_code == 404


def test_a_reason_for_no_rows_is_saved_and_counts_as_done(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    response = author.client.post(author.address("/sections/lessons"), {"none_reason": "Known already", "version": "1"})
    assert response["Location"].endswith("#none-lessons")
    page = author.client.get(author.address()).content.decode()
    assert 'value="Known already"' in page
    assert text_of(author.client.get(author.address())).count("missing") == 5


def test_a_preview_shows_safe_html_and_saves_nothing(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    hostile = "**bold** <script>alert(1)</script> [x](javascript:alert(1))"
    for htmx in (False, True):
        form = author.open()["form-section-summary"]
        form.action = author.address("/preview")
        page = author.send(form, htmx=htmx, body=hostile).content.decode()
        assert "<strong>bold</strong>" in page
        assert "<script>alert" not in page
        assert 'href="javascript' not in page
    assert body(incident) == ""


def test_a_user_signed_out_while_writing_sees_their_text_again(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    form = author.open()["form-section-summary"]
    author.client.logout()
    response = author.send(form, body="An hour of <b>work</b>.")
    assert response.status_code == 401
    assert "An hour of <b>work</b>." in text_of(response)
    assert "You are signed out" in text_of(response)
    assert author.send(form, htmx=True, body="Again.").status_code == 401


def test_a_text_sent_after_someone_published_is_given_back(cast, draft, writer):
    incident = draft()
    fill(cast, incident)
    author = writer("author", incident)
    form = author.open()["form-section-summary"]
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    response = author.send(form, body="An hour of <b>work</b>.")
    assert response.status_code == 409
    assert "This is published." in text_of(response)
    assert kept_texts(response) == ["An hour of <b>work</b>."]


@pytest.mark.parametrize(
    ("address", "sent", "typed"),
    [
        ("review/decide", {"version": "1", "comment": "Well told.", "decision": "approve"}, ["Well told."]),
        ("edit/rows/lessons/{row}/move", {"version": "1", "text": "Typed", "move": "up"}, ["Typed"]),
        ("edit/facts", {"base-title": "Old", "title": "New", "base-severity": "sev1", "severity": "sev1"}, ["New"]),
        (
            "upkeep/save",
            {"row": ["{row}"] * 2, "base-due": ["", ""], "due": ["", "2026-05-01"], "state": ["open", "done"]}
            | {"base-state": ["open", "open"], "take": "x:theirs"},
            ["2026-05-01", "done"],
        ),
    ],
)
def test_a_user_signed_out_while_writing_sees_only_what_they_changed(draft, browser, address, sent, typed):
    path = f"/incidents/{draft().ref}/{address}".format(row="8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10")
    response = browser("anonymous").post(path, sent)
    assert response.status_code == 401
    kept = document_fromstring(response.content.decode()).xpath("//textarea")
    assert [field.text.removeprefix("\n") for field in kept] == typed


def test_signing_in_again_in_another_tab_lets_the_open_form_be_saved(cast, draft, writer):
    """The script sends the CSRF token from the cookie, which signing in has changed."""
    incident = draft()
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    client.get(f"/incidents/{incident.ref}/edit")
    before = client.cookies["csrftoken"].value
    client.logout()
    client.get("/sign-in")
    token = client.cookies["csrftoken"].value
    signed_in = client.post(
        "/sign-in",
        {"username": cast.author.email, "password": "a long enough pass phrase", "csrfmiddlewaretoken": token},
    )
    assert signed_in.status_code == 302
    after = client.cookies["csrftoken"].value
    assert after != before
    sent = {"body": "Kept.", "version": "1"}
    address = f"/incidents/{incident.ref}/edit/sections/summary"
    assert client.post(address, {**sent, "csrfmiddlewaretoken": before}).status_code == 403
    assert client.post(address, {**sent, "csrfmiddlewaretoken": after}).status_code == 302
    assert body(incident) == "Kept."
