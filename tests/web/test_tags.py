"""The patterns on an incident's page: evidence marked in the text, and decisions by users with permission."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.sections import add_row, change_section
from incidents.models import AuditEntry
from kb.patterns.models import Pattern, PatternStatus, Tag, TagSource, TagState
from kb.web.marking import NAMES
from tests.conftest import Cast
from tests.web.conftest import famous, parsed
from tests.web.test_incident_page import SECRET, XSS, assert_inert

STORM = "Every **client** retried at once."
DECIDERS = {"author", "lead", "admin"}


def make_pattern(slug="retry-storm", family="load", **more):
    return Pattern.objects.create(
        slug=slug, name=slug.replace("-", " ").capitalize(), family=family, counts="Retries multiplied.", **more
    )


def anchored(field, quote):
    return {"field": field, "hash": "", "start": 0, "end": len(quote), "quote": quote}


def tag(incident, pattern, *evidence, state=TagState.AUTOMATIC, source=TagSource.RULE, **more):
    more = {"rule_version": 3, "score": 2.44} | more if source == TagSource.RULE else more
    stored = [anchored(field, quote) for field, quote in evidence]
    return Tag.objects.create(incident=incident, pattern=pattern, state=state, source=source, evidence=stored, **more)


@pytest.fixture
def stormy(published):
    """stormy() is a published postmortem in which the rule found one sentence that shows a retry storm."""

    def make(title="Gateway was slow", *, visibility="public", state=TagState.AUTOMATIC, **more):
        incident = published(title, visibility=visibility, text=f"It began at nine. {STORM} Then it ended.")
        tag(incident, make_pattern(), ("sections.summary", STORM), state=state, **more)
        return incident

    return make


def why(client, incident, slug="retry-storm", more=""):
    return client.get(f"/incidents/{incident.ref}?why={slug}{more}")


def decide(client, incident, step, slug="retry-storm", **values):
    return client.post(f"/incidents/{incident.ref}/patterns/{slug}/{step}", values)


def standing(incident, slug="retry-storm"):
    found = Tag.objects.get(incident=incident, pattern__slug=slug)
    return found.state, found.reason


def marked(response):
    """The marked texts, one for each mark."""
    return [element.text for element in parsed(response).all("mark")]


# --- Why? ------------------------------------------------------------------------------------------
def test_a_quote_of_the_title_is_shown_as_written(published, browser):
    incident = published("Retries of *.example.com *piled up*", visibility="public")
    tag(incident, make_pattern(), ("title", incident.title))
    page = parsed(why(browser("anonymous"), incident))
    (quote,) = page.all("blockquote")
    assert quote.text.strip().startswith(incident.title)


def test_why_marks_the_sentence_in_the_text_and_links_to_it(stormy, browser):
    incident = stormy()
    client = browser("anonymous")
    page = parsed(client.get(f"/incidents/{incident.ref}"))
    assert not page.all("mark")
    (ask,) = [link for link in page.all("a") if link.attributes.get("class") == "ask"]
    assert ask.text == "why? Retry storm"
    address, _, place = ask.attributes["href"].partition("#")
    response = client.get(address)
    html = response.content.decode()
    assert (
        '<p>It began at nine. <mark id="why-1">Every </mark><strong><mark>client</mark></strong>'
        "<mark> retried at once.</mark> Then it ended.</p>"
    ) in html
    assert place == "why-1"
    section = next(one for one in parsed(response).all("section") if one.attributes.get("id") == "section-summary")
    assert "Every client retried at once." in section.text


def test_evidence_can_be_marked_in_every_field(cast, draft, browser):
    incident = draft("The <title> itself told", visibility="public")
    author = cast.viewer("author")
    change_section(actor=author, incident_id=incident.pk, key="impact", body="- Some.\n- Impact told.")
    texts = {"causes": "Cause told", "lessons": "Lesson told", "actions": "Action told", "timeline": "Event told"}
    values = {
        "causes": {"kind": "root"},
        "lessons": {},
        "actions": {"kind": "prevent"},
        "timeline": {"at": "2026-03-03T14:03Z", "kind": "impact"},
    }
    rows = {
        kind: add_row(actor=author, incident_id=incident.pk, kind=kind, values={"text": texts[kind], **values[kind]})
        for kind in texts
    }
    tag(
        incident,
        make_pattern(),
        ("sections.impact", "Impact told."),
        *((f"{kind}/{row.uuid}", texts[kind]) for kind, row in rows.items()),
        ("title", "The <title> itself"),
    )
    response = why(browser("author"), incident)
    assert marked(response) == [
        "The <title> itself",
        "Impact told.",
        "Event told",
        "Cause told",
        "Lesson told",
        "Action told",
    ]
    assert [mark.attributes["id"] for mark in parsed(response).all("mark")] == list(NAMES[:6])
    links = [link.attributes["href"] for link in parsed(response).all("a")]
    assert [place for place in NAMES[:6] if f"#{place}" in links] == list(NAMES[:6])


def test_only_evidence_of_the_requested_pattern_is_marked(stormy, browser):
    incident = stormy()
    tag(incident, make_pattern("cold-start"), ("sections.summary", "It began at nine."))
    client = browser("anonymous")
    assert marked(why(client, incident, "cold-start")) == ["It began at nine."]
    assert "".join(marked(why(client, incident))) == "Every client retried at once."
    for strange in ("nothing", "%00", "retry-storm%20"):
        response = why(client, incident, strange)
        assert (response.status_code, marked(response)) == (200, [])


def test_asking_why_keeps_the_chosen_time_zone(stormy, browser):
    page = parsed(browser("author").get(f"/incidents/{stormy().ref}?zone=UTC"))
    (ask,) = [link for link in page.all("a") if link.attributes.get("class") == "ask"]
    assert "zone=UTC" in ask.attributes["href"]


def test_the_reasons_give_the_origin_the_rule_version_and_the_score(stormy, browser):
    page = parsed(why(browser("anonymous"), stormy()))
    assert "found by its rule (version 3, score 2.4)" in page.text
    # The requested reasons are open, not folded away.
    (asked,) = [one for one in page.all("div") if one.attributes.get("id") == "tag-retry-storm"]
    assert "details" not in asked.inside


def test_a_sentence_the_reader_cannot_see_is_neither_marked_nor_quoted(cast, stormy, browser):
    incident = stormy()
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=f"Now {SECRET} is said.")
    tag(incident, make_pattern("secret"), ("sections.summary", f"Now {SECRET} is said."), ("sections.no", SECRET))
    for name in ("anonymous", "outsider", "reader"):
        response = why(browser(name), incident, "secret")
        assert SECRET not in response.content.decode()
        assert marked(response) == []
        assert "".join(marked(why(browser(name), incident))) == "Every client retried at once."
    assert marked(why(browser("author"), incident, "secret")) == [f"Now {SECRET} is said."]


def test_nothing_in_a_marked_text_can_run_as_code(cast, draft, browser):
    incident = draft(XSS[:100], visibility="public")
    body = f"# {XSS}\n\n<mark id='why-1' onclick=alert(1)>{XSS}</mark>\n\n```\n{XSS}\n```\n\n    {XSS}\n\n`{XSS}`"
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=body)
    tag(incident, make_pattern(), ("sections.summary", body), ("title", XSS[:100]))
    response = why(browser("author"), incident)
    assert_inert(parsed(response))
    assert "alert('x')" in "".join(marked(response))
    for mark in parsed(response).all("mark"):
        assert set(mark.attributes) <= {"id"}


def test_without_evidence_why_links_to_the_reasons(published, browser):
    incident = published(visibility="public")
    tag(incident, make_pattern(), source=TagSource.CURATOR, state=TagState.CONFIRMED)
    page = parsed(browser("anonymous").get(f"/incidents/{incident.ref}"))
    (ask,) = [link for link in page.all("a") if link.attributes.get("class") == "ask"]
    assert ask.attributes["href"].endswith("?why=retry-storm#tag-retry-storm")
    assert "added by the curators of famous outages" in page.text


# --- Suggested and rejected ------------------------------------------------------------------------
def test_suggestions_are_listed_separately_from_tags_in_force(stormy, browser):
    incident = stormy()
    tag(incident, make_pattern("cold-start"), state=TagState.SUGGESTED)
    page = parsed(browser("anonymous").get(f"/incidents/{incident.ref}"))
    lists = [one for one in page.all("ul") if one.attributes.get("class") == "carried"]
    assert ["Retry storm" in one.text for one in lists] == [True, False]
    assert ["Cold start" in one.text for one in lists] == [False, True]
    assert lists[1].attributes["aria-labelledby"] == "suggested-patterns"


@pytest.mark.parametrize("name", Cast.NAMES)
def test_rejected_patterns_are_shown_to_users_who_can_undo_the_rejection(cast, stormy, browser, name):
    incident = stormy(state=TagState.REJECTED, reason="It was one client.")
    html = browser(name).get(f"/incidents/{incident.ref}").content.decode()
    assert ("It was one client." in html) == (name in DECIDERS)
    assert ("Retry storm" in html) == (name in DECIDERS)
    assert bool(marked(why(browser(name), incident))) == (name in DECIDERS)


@pytest.mark.parametrize("name", Cast.NAMES)
def test_a_pattern_suggested_again_shows_deciders_who_rejected_it_earlier(cast, stormy, browser, name):
    because = {"decided_by": cast.lead, "decided_at": timezone.now(), "reason": "It was one client."}
    incident = stormy(state=TagState.SUGGESTED, **because)
    html = browser(name).get(f"/incidents/{incident.ref}").content.decode()
    assert ("Rejected because: It was one client." in html) == (name in DECIDERS)
    assert ("Undo the rejection" in html) == (name in DECIDERS)
    assert ("found by its rule (version 3, score 2.4); Lead rejected it earlier" in html) == (name in DECIDERS)
    assert ("found by its rule (version 3, score 2.4); not confirmed yet" in html) == (name not in DECIDERS)


def test_a_rejected_sentence_is_not_shown_for_a_pattern_suggested_again(cast, stormy, browser):
    incident = stormy(state=TagState.SUGGESTED, decided_by=cast.lead, decided_at=timezone.now())
    found = Tag.objects.get(incident=incident)
    found.evidence = [{**anchor, "rejected": True} for anchor in found.evidence]
    found.save()
    assert marked(why(browser("author"), incident)) == []


def test_retired_patterns_are_not_shown(published, browser):
    incident = published(visibility="public")
    tag(incident, make_pattern(status=PatternStatus.RETIRED))
    assert "Retry storm" not in browser("author").get(f"/incidents/{incident.ref}").content.decode()


# --- Decisions -------------------------------------------------------------------------------------
def test_a_pattern_is_confirmed_and_rejected_and_the_decision_undone(cast, stormy, browser):
    incident, client = stormy(), browser("author")
    for step, values, expected, words in (
        ("confirm", {}, ("confirmed", ""), "Confirmed: Retry storm."),
        ("reject", {"reason": "One client."}, ("rejected", "One client."), "Rejected: Retry storm."),
        ("confirm", {}, ("confirmed", ""), "Confirmed: Retry storm."),
    ):
        response = decide(client, incident, step, **values)
        assert (response.status_code, response["Location"]) == (
            302,
            f"/incidents/{incident.ref}?why=retry-storm#tag-retry-storm",
        )
        assert standing(incident) == expected
        page = parsed(client.get(response["Location"]))
        assert words in page.text
        assert f"{expected[0]} by Author" in page.text
    assert decide(client, incident, "undo").status_code == 302
    assert Tag.objects.get(incident=incident).decided_by is None
    assert [entry.action for entry in AuditEntry.objects.filter(object_type="tag").order_by("pk")] == [
        "tag.confirmed",
        "tag.rejected",
        "tag.confirmed",
        "tag.undone",
    ]
    history = parsed(client.get(f"/incidents/{incident.ref}/history")).text
    for words in ("confirmed a pattern", "rejected a pattern", "undid the decision on a pattern"):
        assert f"{words}: Retry storm" in history


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_an_invalid_reason_is_shown_again_with_its_error(stormy, browser, reason):
    incident = stormy()
    response = decide(browser("author"), incident, "reject", reason=reason)
    assert response.status_code == 400
    page = parsed(response)
    field = next(one for one in page.all("input") if one.attributes.get("id") == "reject-retry-storm-reason")
    assert field.attributes["aria-invalid"] == "true"
    assert field.attributes.get("value", "") == reason
    assert [one.text for one in page.all("ul") if one.attributes.get("class") == "errors"]
    opened = [one for one in page.all("details") if "open" in one.attributes]
    assert any("Why not?" in one.text for one in opened)
    assert standing(incident) == ("automatic", "")


def test_a_pattern_is_added_with_the_sentence_that_shows_it(stormy, browser):
    incident, client = stormy(), browser("author")
    make_pattern("cold-start", "data")
    make_pattern("old", status=PatternStatus.RETIRED)
    page = parsed(client.get(f"/incidents/{incident.ref}"))
    select = next(one for one in page.all("select") if one.attributes["name"] == "slug")
    offered = [o.attributes["value"] for o in page.all("option") if "select" in o.inside]
    assert "Storage and state" in {one.attributes["label"] for one in page.all("optgroup")}
    assert (offered, select.attributes["id"]) == (["", "cold-start"], "add-slug")
    response = client.post(
        f"/incidents/{incident.ref}/patterns", {"slug": "cold-start", "sentence": "It began at nine."}
    )
    assert response.status_code == 302
    assert standing(incident, "cold-start") == ("confirmed", "")
    assert marked(client.get(response["Location"])) == ["It began at nine."]


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ({"slug": "", "sentence": "It began at nine."}, "add-slug"),
        ({"slug": "no-such-pattern"}, "add-slug"),
        ({"slug": "cold-start", "sentence": "Nobody wrote this."}, "add-sentence"),
    ],
)
def test_an_invalid_addition_is_shown_again_with_its_error(stormy, browser, typed, place):
    incident = stormy()
    make_pattern("cold-start")
    response = browser("author").post(f"/incidents/{incident.ref}/patterns", typed)
    assert response.status_code == 400
    page = parsed(response)
    refused = [one.attributes["id"] for one in page.elements if one.attributes.get("aria-invalid") == "true"]
    assert refused == [place]
    kept = next(one for one in page.all("textarea") if one.attributes["name"] == "sentence")
    assert kept.text.strip() == typed.get("sentence", "")
    assert Tag.objects.count() == 1


# --- Permissions -----------------------------------------------------------------------------------
STEPS = [
    ("confirm-pattern", ["retry-storm"], {}),
    ("reject-pattern", ["retry-storm"], {"reason": "One client."}),
    ("undo-pattern", ["retry-storm"], {}),
    ("add-pattern", [], {"slug": "cold-start"}),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
@pytest.mark.parametrize("name", Cast.NAMES)
def test_users_who_can_edit_an_incident_decide_about_its_patterns(cast, stormy, browser, name, step):
    incident = stormy(visibility="internal")
    make_pattern("cold-start")
    view, slugs, values = step
    before = list(Tag.objects.values_list("pattern__slug", "state", "decided_by"))
    response = browser(name).post(reverse(f"web:{view}", args=[incident.ref, *slugs]), values)
    assert response.status_code == (302 if name in DECIDERS else 401 if name == "anonymous" else 403)
    if name not in DECIDERS:
        assert list(Tag.objects.values_list("pattern__slug", "state", "decided_by")) == before


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_a_hidden_incident_and_a_missing_one_get_the_same_answer(cast, stormy, browser, step):
    incident = stormy(visibility="team")
    make_pattern("cold-start")
    view, slugs, values = step
    for name in ("outsider", "reviewer"):
        answers = [
            browser(name).post(reverse(f"web:{view}", args=[ref, *slugs]), values)
            for ref in (incident.ref, "INC-999999")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert parsed(answers[0]).text.replace(incident.ref, "") == parsed(answers[1]).text.replace("INC-999999", "")


@pytest.mark.parametrize("name", Cast.NAMES)
def test_only_users_who_can_decide_see_the_buttons(cast, stormy, browser, name):
    incident = stormy()
    make_pattern("cold-start")
    page = parsed(browser(name).get(f"/incidents/{incident.ref}"))
    actions = {
        form.attributes["action"].rpartition("/")[2]
        for form in page.all("form")
        if "/patterns" in form.attributes.get("action", "")
    }
    assert actions == ({"confirm", "reject", "patterns"} if name in DECIDERS else set())


@pytest.mark.parametrize("name", Cast.NAMES)
def test_every_team_author_can_decide_about_public_outages(cast, browser, name):
    incident = famous()
    tag(incident, make_pattern())
    response = decide(browser(name), incident, "confirm")
    allowed = DECIDERS | {"outsider", "reviewer"}
    assert response.status_code == (302 if name in allowed else 401 if name == "anonymous" else 403)


def test_no_decision_is_possible_on_an_archived_incident(cast, stormy, browser):
    incident = stormy()
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    client = browser("lead")
    assert "/patterns/retry-storm/confirm" not in client.get(f"/incidents/{incident.ref}").content.decode()
    assert decide(client, incident, "confirm").status_code == 409
    assert standing(incident) == ("automatic", "")


def test_a_decision_needs_a_post_with_the_forms_csrf_token(cast, stormy):
    incident = stormy()
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/incidents/{incident.ref}/patterns/retry-storm/confirm"
    assert client.post(address).status_code == 403
    assert client.get(address).status_code == 405
    assert standing(incident) == ("automatic", "")
    token = next(
        one.attributes["value"]
        for one in parsed(client.get(f"/incidents/{incident.ref}")).all("input")
        if one.attributes.get("name") == "csrfmiddlewaretoken"
    )
    assert client.post(address, {"csrfmiddlewaretoken": token}).status_code == 302


def test_a_user_who_loses_their_role_can_no_longer_decide(cast, stormy, browser):
    incident, client = stormy(), browser("author")
    change_incident(actor=cast.viewer("admin"), incident_id=incident.pk, facts={"visibility": "team"})
    cast.author.memberships.all().delete()
    assert decide(client, incident, "confirm").status_code == 404
