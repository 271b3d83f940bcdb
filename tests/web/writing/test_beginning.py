"""Starting a postmortem: a title and a team are enough to open the editor."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.actions.people import change_account
from incidents.actions.sections import add_row
from incidents.models import Incident, Source
from tests.web.conftest import parsed
from tests.web.writing.conftest import forms_in, text_of

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_a_title_is_enough_for_an_author_of_one_team(cast, browser):
    author = browser("author")
    form = forms_in(author.get("/incidents/new"))[""]
    assert form.values["team"] == ["checkout"]
    response = author.post("/incidents/new", form.with_(title="Checkout fell over"))
    incident = Incident.objects.get()
    assert response["Location"] == f"/incidents/{incident.ref}/edit"
    assert (incident.title, incident.team, incident.status) == ("Checkout fell over", cast.checkout, "draft")


def test_an_invisible_title_is_rejected(cast, browser):
    author = browser("author")
    response = author.post("/incidents/new", {"title": "\u200b\u2060", "team": "checkout"})
    assert response.status_code == 400
    assert "This field is required." in text_of(response)
    assert not Incident.objects.exists()


def test_a_new_postmortem_starts_in_its_authors_time_zone(cast, browser):
    change_account(actor=cast.viewer("author"), values={"time_zone": "Asia/Tokyo"})
    browser("author").post("/incidents/new", {"title": "x", "team": "checkout"})
    assert Incident.objects.get().time_zone == "Asia/Tokyo"


def test_an_author_of_several_teams_chooses_one(cast, browser):
    admin = browser("admin")
    page = admin.get("/incidents/new").content.decode()
    assert '<option value="checkout">Checkout</option>' in page
    assert '<option value="payments">Payments</option>' in page


def test_only_the_authors_own_teams_are_offered_and_accepted(cast, browser):
    author = browser("author")
    assert "Payments" not in author.get("/incidents/new").content.decode()
    response = author.post("/incidents/new", {"title": "Mine", "team": "payments"})
    assert response.status_code == 400
    assert "You are not an author in Payments." in text_of(response)
    assert not Incident.objects.exists()


@pytest.mark.parametrize(
    ("title", "words"), [("", "This field is required."), ("t" * 201, "at most 200 characters"), ("\x00", "NUL")]
)
def test_an_invalid_title_is_shown_again_with_its_error(cast, browser, title, words):
    response = browser("author").post("/incidents/new", {"title": title, "team": "checkout"})
    assert response.status_code == 400
    assert words in text_of(response)
    assert not Incident.objects.exists()


def test_an_unknown_template_is_rejected(cast, browser):
    response = browser("author").post("/incidents/new", {"title": "x", "team": "checkout", "template": "nothing"})
    assert response.status_code in (302, 400)
    assert Incident.objects.filter(template__key="standard").count() == Incident.objects.count()


def test_the_editor_shows_every_section_with_its_guidance(cast, draft, writer):
    incident = draft()
    response = writer("author", incident).client.get(f"/incidents/{incident.ref}/edit")
    page = text_of(response)
    for section in incident.template.definition["sections"]:
        assert section["title"] in page
        assert section["guidance"] in page
    assert "A core service was down for most of its users" in page
    assert "Only members of the owning team" in page


def test_other_spellings_of_the_reference_redirect_to_the_same_page(cast, draft, browser):
    incident = draft()
    for reference in (incident.ref.lower(), str(incident.pk), str(incident.uuid)):
        response = browser("author").get(f"/incidents/{reference}/edit")
        assert response["Location"] == f"/incidents/{incident.ref}/edit"


def test_no_stored_text_becomes_markup(cast, draft, writer):
    incident = draft(HOSTILE, services=[HOSTILE], organization=HOSTILE[:100])
    author = writer("author", incident)
    add = {"actor": cast.viewer("author"), "incident_id": incident.pk}
    add_row(**add, kind="timeline", values={"at": "2026-03-31T14:03Z", "text": HOSTILE})
    add_row(**add, kind="causes", values={"kind": "root", "text": HOSTILE})
    add_row(**add, kind="lessons", values={"text": HOSTILE})
    add_row(**add, kind="actions", values={"kind": "prevent", "text": HOSTILE})
    add_row(
        **add, kind="impact_figures", values={"label": HOSTILE, "value": 1, "unit": HOSTILE[:40], "source": HOSTILE}
    )
    add_row(
        **add,
        kind="sources",
        values={"url": f"https://a.example/{HOSTILE}", "title": HOSTILE},
    )
    Source.objects.update(supports=[HOSTILE[:80]])
    add_row(**add, kind="disagreements", values={"about": HOSTILE[:60], "text": HOSTILE})
    author.send(author.open()["form-section-summary"], body=f"</textarea>{HOSTILE}")
    for rest in ("/edit", "/review", "/publish", "/upkeep", "/history", "/history/compare", "/delete"):
        response = author.client.get(f"/incidents/{incident.ref}{rest}")
        if rest == "/delete":
            continue
        page = parsed(response)
        assert not [element for element in page.all("script") if "alert" in element.text]
        assert page.all("img") == []
        assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]


def test_a_text_that_begins_with_line_breaks_keeps_them(cast, draft, writer):
    author = writer("author", draft())
    author.send(author.open()["form-section-summary"], body="\n\n    code\ntext")
    assert author.open()["form-section-summary"].values["body"] == ["\n\n    code\ntext"]


def test_the_editor_needs_no_more_queries_as_it_grows(cast, draft, writer):
    incident = draft(services=["One"])
    author = writer("author", incident)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert author.client.get(author.address()).status_code == 200
        return len(captured.captured_queries)

    add = {"actor": cast.viewer("author"), "incident_id": incident.pk}
    rows = {
        "lessons": {"text": "x"},
        "causes": {"kind": "root", "text": "x"},
        "actions": {"kind": "prevent", "text": "x", "owner": "lead@acme.example"},
        "timeline": {"at": "2026-03-31T14:03Z", "text": "x"},
    }

    def grow(number):
        for kind, values in rows.items():
            for _ in range(number):
                add_row(**add, kind=kind, values=values)

    grow(1)
    few = queries()
    grow(8)
    assert queries() == few
    assert few <= 32
