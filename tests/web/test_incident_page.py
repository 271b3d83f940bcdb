"""An incident's page: who sees which text, and that everything in the record is shown."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident, delete_incident
from incidents.actions.links import add_link
from incidents.actions.sections import add_row, change_row, change_section
from incidents.markdown_bounds import Allowance
from incidents.models import Source
from incidents.scopes import Viewer
from kb.patterns.models import Pattern, Tag, TagSource, TagState
from tests.conftest import Cast, fill
from tests.web.conftest import famous, parsed

SECRET = "the-words-nobody-else-may-read"
TIMES = {
    "started": "2026-03-03T14:03Z",
    "detected": "2026-03-03T14:09Z",
    "mitigated": "2026-03-03T14:58Z",
    "resolved": "2026-03-03T15:15Z",
}


def visit(browser, name, incident, query=""):
    return browser(name).get(f"/incidents/{incident.ref}{query}")


def tag(incident, *, state=TagState.CONFIRMED, field="sections.summary", quote="", slug="retry-storm", **more):
    pattern, _ = Pattern.objects.get_or_create(
        slug=slug,
        defaults={"name": slug.replace("-", " ").capitalize(), "family": "load", "counts": "Retries multiplied."},
    )
    evidence = [{"field": field, "hash": "", "start": 0, "end": len(quote), "quote": quote}] if quote else []
    return Tag.objects.create(
        incident=incident, pattern=pattern, state=state, source=TagSource.RULE, evidence=evidence, **more
    )


# --- Who sees it -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("visibility", "state", "sees"),
    [
        ("public", "draft", {"reader", "author", "lead", "admin"}),
        ("internal", "draft", {"reader", "author", "lead", "admin"}),
        ("team", "draft", {"reader", "author", "lead", "admin"}),
        ("team", "in_review", {"reader", "reviewer", "author", "lead", "admin"}),
        ("public", "published", set(Cast.NAMES)),
        ("internal", "published", set(Cast.NAMES) - {"anonymous"}),
        ("team", "published", {"reader", "author", "lead", "admin"}),
        ("public", "archived", set(Cast.NAMES)),
        ("team", "archived", {"reader", "author", "lead", "admin"}),
        ("public", "deleted", set()),
    ],
)
def test_viewers_who_cannot_see_an_incident_get_a_404_and_no_trace_of_it(cast, draft, browser, visibility, state, sees):
    incident = draft(SECRET, visibility=visibility)
    fill(cast, incident, text=SECRET)
    if state == "in_review":
        lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    elif state in ("published", "archived", "deleted"):
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    if state == "archived":
        lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    if state == "deleted":
        delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    for name in Cast.NAMES:
        response = visit(browser, name, incident)
        assert response.status_code == (200 if name in sees else 404), name
        assert (SECRET in response.content.decode()) == (name in sees)
    for address in (f"/incidents/{incident.uuid}", f"/incidents/{incident.pk}"):
        response = browser("outsider").get(address, follow=True)
        assert response.status_code == (200 if "outsider" in sees else 404)
        assert (SECRET in response.content.decode()) == ("outsider" in sees)


def test_a_hidden_incident_and_a_missing_one_get_the_same_answer(cast, draft, browser):
    hidden = draft(SECRET)
    client = browser("outsider")
    one, other = client.get(f"/incidents/{hidden.ref}"), client.get("/incidents/INC-999999")
    assert one.status_code == other.status_code == 404
    assert without_token(one) == without_token(other)


def test_an_anonymous_visitor_who_follows_a_link_to_a_hidden_incident_is_told_to_sign_in(draft, browser):
    address = f"/incidents/{draft(SECRET).ref}"
    for path in (address, f"{address}/history"):
        page = parsed(browser("anonymous").get(path))
        assert f"/sign-in?next={path}" in [link.attributes["href"] for link in page.all("a")], path


def without_token(response):
    """The page without its CSRF token, which differs each time."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


def test_every_spelling_of_a_reference_redirects_to_the_incidents_one_address(published, browser):
    incident = published(visibility="public")
    for name in (incident.ref.lower(), str(incident.pk), str(incident.uuid), str(incident.uuid).upper()):
        response = browser("anonymous").get(f"/incidents/{name}")
        assert (response.status_code, response["Location"]) == (302, f"/incidents/{incident.ref}")


@pytest.mark.parametrize("name", ["INC-", "INC-x", "-1", "INC-99999999999999999999", "%00", "INC-1%20", "٣", "a" * 500])
def test_an_invalid_reference_is_a_404(cast, browser, name):
    assert browser("admin").get(f"/incidents/{name}").status_code == 404


# --- Which text ------------------------------------------------------------------------------------
def test_readers_keep_the_published_revision_while_authors_see_the_working_copy(cast, published, browser):
    incident = published("Old title", visibility="internal", text="What was published.")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"title": "New title"})
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="What is being written.")
    for name in ("outsider", "reviewer", "reader"):
        text = visit(browser, name, incident).content.decode()
        assert "Old title" in text
        assert "What was published." in text
        assert "New title" not in text
        assert "being written" not in text
        assert "working copy" not in text
    for name in ("author", "lead", "admin"):
        page = parsed(visit(browser, name, incident))
        assert "New title" in page.text
        assert "What is being written." in page.text
        assert "Readers see revision 1" in page.text


def test_a_draft_says_who_can_see_it_now_and_once_it_is_published(cast, draft, browser):
    page = parsed(visit(browser, "author", draft(visibility="internal")))
    assert "Only the team Checkout, the reviewers and admins can see this until it is published." in page.text
    assert "After that everyone who is signed in can." in page.text


def test_authors_are_offered_the_missing_sections_and_readers_are_not(cast, draft, browser):
    incident = draft()
    assert "required to publish" in parsed(visit(browser, "author", incident)).text
    text = parsed(visit(browser, "reader", incident)).text
    assert "required to publish" not in text
    assert "Nothing written yet" in text


def test_empty_sections_are_left_out_and_reasons_for_none_are_shown(cast, published, browser):
    incident = published(visibility="public")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    incident.actionitems.all().delete()
    change_section(
        actor=cast.viewer("author"), incident_id=incident.pk, key="actions", none_reason="The service is retired"
    )
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    page = parsed(visit(browser, "anonymous", incident))
    titles = [element.text for element in page.all("h2")]
    assert titles[:5] == ["Summary", "Impact", "Timeline", "Causes and contributing factors", "Lessons"]
    assert "What went well" not in titles
    assert "None: The service is retired" in page.text


# --- What it shows ---------------------------------------------------------------------------------
def test_durations_detection_and_mitigation_are_shown_first(published, browser):
    incident = published(
        visibility="public",
        severity="sev1",
        detected_by="alert",
        mitigations=["rollback", "throttle"],
        services=["checkout"],
        **TIMES,
    )
    page = parsed(visit(browser, "anonymous", incident))
    words = [
        (dt.text, dd.text)
        for dt, dd in zip(page.all("dt"), [e for e in page.all("dd") if "class" not in e.attributes], strict=False)
    ]
    assert words[:6] == [
        ("Time to detect", "6 min"),
        ("Time to mitigate", "55 min"),
        ("Duration", "1 h 12 min"),
        ("Detected by", "Alert"),
        ("Mitigated by", "Rollback, throttle or shed load"),
        ("Services", "checkout"),
    ]
    assert "measured from start to end" in page.text
    drawing = page.all("svg")[0]
    assert drawing.attributes["aria-label"].startswith("1 h 12 min, drawn to scale: 6 min undetected")
    assert [rect.attributes["class"] for rect in page.all("rect")] == ["impact", "detect", "mitigate"]
    assert "SEV 1" in page.text


def test_a_stated_duration_says_so_and_quotes_its_source(published, browser):
    incident = published(
        visibility="public", started="2026-03-03", stated_duration={"seconds": 14_400, "text": "roughly four hours"}
    )
    text = parsed(visit(browser, "anonymous", incident)).text
    assert "4 h" in text
    assert "stated by a source: “roughly four hours”" in text


def test_an_uncertain_duration_says_about(published, browser):
    incident = published(visibility="public", started="2026-03-03", resolved="2026-03-05")
    page = parsed(visit(browser, "anonymous", incident))
    assert "about 2 d" in page.text
    assert not page.all("svg")


def test_figures_show_their_qualifier_and_their_source(cast, draft, browser):
    incident = draft()
    for qualifier, value, source in (
        ("about", 18, "https://dash.acme.example/1"),
        ("at_least", 12_400, "the warehouse"),
    ):
        add_row(
            actor=cast.viewer("author"),
            incident_id=incident.pk,
            kind="impact_figures",
            values={"label": "Orders", "qualifier": qualifier, "value": value, "unit": "orders", "source": source},
        )
    page = parsed(visit(browser, "author", incident))
    assert "about 18 orders" in page.text
    assert "at least 12,400 orders" in page.text
    assert "the warehouse" in page.text
    assert any(link.attributes["href"] == "https://dash.acme.example/1" for link in page.all("a"))


def test_times_are_in_the_readers_zone_and_utc_is_one_link_away(cast, published, browser):
    incident = published(visibility="public", **TIMES)
    cast.author.time_zone = "Europe/Berlin"
    cast.author.save()
    page = parsed(visit(browser, "author", incident))
    assert "15:03 started" in page.text
    assert page.all("time")[1].attributes["title"] == "3 March 2026, 14:03 UTC"
    assert "14:03 started" in parsed(visit(browser, "author", incident, "?zone=UTC")).text
    assert "14:03 started" in parsed(visit(browser, "anonymous", incident)).text


def test_a_timeline_over_several_days_shows_the_days(cast, published, browser):
    incident = published(visibility="public", **TIMES)
    assert days_in(visit(browser, "anonymous", incident)) == []
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="timeline",
        values={"at": "2026-03-05T09:00Z", "kind": "resolve", "text": "Refunds done"},
    )
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert days_in(visit(browser, "anonymous", incident)) == ["3 March 2026", "5 March 2026"]


def days_in(response):
    """The day headings of the timeline."""
    return [e.text for e in parsed(response).all("h3") if e.attributes.get("class") == "day"]


@pytest.mark.parametrize(
    ("started", "times", "days"),
    [
        ("2026-03-10T23:50Z", ["2026-03-11T00:10Z", "2026-03-11T00:40Z"], ["11 March 2026"]),
        ("2026-03-10T23:50Z", ["2026-03-10T23:55Z"], []),
        ("2026-03-10", ["2026-03-10T23:55Z"], []),
        ("2026-03", ["2026-03-10T23:55Z"], ["10 March 2026"]),
        ("2026-03-10T23:50Z", ["2026-03-10", "2026-03-10T23:55Z"], ["10 March 2026"]),
        (None, ["2025-07", "2025-07"], ["July 2025"]),
        (None, ["2025-07-03T10:00Z"], ["3 July 2025"]),
    ],
)
def test_a_timeline_of_one_day_omits_the_day_only_if_the_page_head_shows_it(cast, draft, browser, started, times, days):
    incident = draft(started=started)
    for at in times:
        values = {"at": at, "text": "Something happened"}
        add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="timeline", values=values)
    assert days_in(visit(browser, "author", incident)) == days


def test_each_day_of_a_timeline_appears_once_and_in_order_in_any_readers_zone(cast, draft, browser):
    incident = draft(time_zone="Asia/Kathmandu")
    for at, text in {
        "2025-11-12": "Some time that day",
        "2025-11-12T09:00": "By nine",
        "2025-11-12T09:30": "Half past",
        "2025-11-12T15:00": "In the afternoon",
        "2025-11": "All that month",
    }.items():
        values = {"at": at, "precision": "hour" if "nine" in text else None, "text": text}
        add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="timeline", values=values)
    cast.author.time_zone = "America/St_Johns"
    cast.author.save()
    response = visit(browser, "author", incident)
    assert days_in(response) == ["November 2025", "11 November 2025", "12 November 2025"]
    timeline = parsed(response).text.partition("All that month")[2]
    texts = ["By nine", "Some time that day", "Half past", "In the afternoon"]
    assert sorted(texts, key=timeline.index) == texts


@pytest.mark.parametrize(("days", "words"), [(-12, "12 days late"), (0, "due today"), (3, "due in 3 days")])
def test_a_due_date_given_as_a_number_of_days_also_carries_the_date(cast, published, browser, days, words):
    incident = published(visibility="public")
    due = timezone.localdate() + timedelta(days=days)
    change_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="actions",
        row_id=incident.actionitems.get().uuid,
        values={"due": due.isoformat()},
    )
    (told,) = (e for e in parsed(visit(browser, "reader", incident)).all("time") if e.text == words)
    assert told.attributes["datetime"] == due.isoformat()
    assert told.attributes["title"] == f"{due.day} {due:%B} {due.year}"


def test_actions_say_calmly_what_is_late_and_what_has_no_owner(cast, published, browser):
    incident = published(visibility="public")
    row = incident.actionitems.get()
    change_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="actions",
        row_id=row.uuid,
        values={"due": (timezone.localdate() - timedelta(days=12)).isoformat()},
    )
    text = parsed(visit(browser, "reader", incident)).text
    assert "12 days late" in text
    assert "Author" in text
    change_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="actions",
        row_id=row.uuid,
        values={"owner": None, "state": "done"},
    )
    text = parsed(visit(browser, "reader", incident)).text
    assert "late" not in text
    assert "no owner" not in text
    change_row(
        actor=cast.viewer("author"), incident_id=incident.pk, kind="actions", row_id=row.uuid, values={"state": "open"}
    )
    assert "no owner yet" in parsed(visit(browser, "reader", incident)).text


def test_strangers_see_no_names_addresses_teams_or_links_into_private_tools(cast, published, browser):
    incident = published(visibility="public")
    html = visit(browser, "anonymous", incident).content.decode()
    for private in ("author@acme.example", "tracker.acme.example", "Checkout<", ">Author<", "no owner"):
        assert private not in html
    html = visit(browser, "outsider", incident).content.decode()
    assert "tracker.acme.example" in html
    assert "Author" in html


def test_sources_say_in_words_what_they_support(cast, draft, browser):
    incident = draft()
    cause = add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="causes",
        values={"kind": "root", "text": "A resize flushed every key"},
    )
    add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="sources",
        values={
            "url": "https://status.acme.example/1",
            "archive_url": "https://archive.example/1",
            "publisher": "Acme status",
            "title": "Checkout errors",
            "published": "2026-03",
            "primary": True,
            "supports": ["started", "summary", "stated_duration", str(cause.uuid)],
        },
    )
    page = parsed(visit(browser, "author", incident))
    assert "Acme status, March 2026, first-hand" in page.text
    assert "start, summary, duration, 1 cause" in page.text
    hrefs = {link.attributes["href"] for link in page.all("a")}
    assert {"https://status.acme.example/1", "https://archive.example/1"} <= hrefs


def test_links_are_shown_on_both_incidents_and_only_to_incidents_the_viewer_can_see(cast, published, draft, browser):
    one, other, hidden = published("One", visibility="public"), published("Other", visibility="public"), draft(SECRET)
    add_link(actor=cast.viewer("author"), incident_id=one.pk, kind="recurrence_of", to=other.ref, note="same cache")
    add_link(actor=cast.viewer("author"), incident_id=one.pk, kind="related", to=hidden.ref)
    here, there = parsed(visit(browser, "anonymous", one)), parsed(visit(browser, "anonymous", other))
    assert f"Recurrence of {other.ref} Other" in " ".join(here.text.split())
    assert f"Recurred as {one.ref} One" in " ".join(there.text.split())
    assert SECRET not in here.text
    assert hidden.ref not in here.text
    assert SECRET in parsed(visit(browser, "author", one)).text


def test_disagreements_between_sources_are_shown(cast, draft, browser):
    incident = draft()
    add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="disagreements",
        values={"about": "duration", "text": "One says 2 h, the other 3 h."},
    )
    page = parsed(visit(browser, "author", incident))
    assert "Where sources differ" in page.text
    assert "One says 2 h, the other 3 h." in page.text


def test_a_citation_names_organization_title_date_place_and_source(cast, published, browser, settings):
    settings.BASE_URL = "https://precedent.example"
    incident = published("Cache went cold", visibility="public", **TIMES)
    page = parsed(visit(browser, "anonymous", incident))
    cited = next(element.text for element in page.all("p") if element.attributes.get("id") == "citation")
    assert cited == (
        f"Acme. “Cache went cold”. 3 March 2026. Precedent, {incident.ref}. https://precedent.example/incidents/{incident.ref}"
    )


# --- Patterns and why ------------------------------------------------------------------------------
def test_every_pattern_says_why_it_applies(cast, published, browser):
    incident = published(visibility="public", text="Every client retried at once.")
    tag(incident, quote="Every client retried at once.")
    tag(incident, slug="dns", state=TagState.SUGGESTED, reason="weak")
    tag(incident, slug="power-loss", state=TagState.REJECTED)
    page = parsed(visit(browser, "anonymous", incident))
    assert "Retry storm" in page.text
    assert "why these?" in page.text
    assert "Every client retried at once." in page.all("blockquote")[0].text
    assert "found by its rule; not confirmed yet" in page.text
    assert "Power loss" not in page.text


def test_evidence_from_a_text_the_reader_cannot_see_is_not_quoted(cast, published, browser):
    incident = published(visibility="public", text="What was published.")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=f"Now: {SECRET}.")
    tag(incident, quote=f"{SECRET}")
    for name in ("anonymous", "reader", "outsider"):
        html = visit(browser, name, incident).content.decode()
        assert SECRET not in html
        assert "the text has changed since" in html
    assert SECRET in parsed(visit(browser, "author", incident)).all("blockquote")[0].text


def test_who_confirmed_a_pattern_is_shown_only_to_colleagues(cast, published, browser):
    incident = published(visibility="public")
    tag(incident, decided_by=cast.lead, decided_at=timezone.now())
    assert "confirmed by Lead" in parsed(visit(browser, "outsider", incident)).text
    assert "confirmed by" not in parsed(visit(browser, "anonymous", incident)).text


# --- No text can run as code -----------------------------------------------------------------------
XSS = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'><svg onload=alert(2)> [l](javascript:alert(3))"


def test_no_text_in_any_field_of_a_record_can_run_as_code(cast, draft, browser, published):
    author = cast.viewer("author")
    short = XSS[:110]
    incident = draft(
        short,
        organization=short[:100],
        services=[short],
        visibility="public",
        stated_duration={"seconds": 60, "text": "<b onclick=x>"},
    )
    for key in ("summary", "impact", "detection", "customer_message"):
        change_section(actor=author, incident_id=incident.pk, key=key, body=f"# {XSS}\n\n{XSS}")
    rows = {
        "timeline": {"at": "2026-03-03T14:03Z", "text": XSS},
        "causes": {"kind": "root", "text": XSS},
        "lessons": {"text": XSS},
        "actions": {"kind": "prevent", "text": XSS},
        "impact_figures": {"label": short, "value": 1, "unit": "<script>alert(4)</script>", "source": XSS},
        "sources": {
            "url": "https://a.example/\"'><script>alert(5)</script>",
            "title": short,
            "publisher": short,
        },
        "disagreements": {"about": "<script>alert(7)</script>", "text": XSS},
    }
    for kind, values in rows.items():
        add_row(actor=author, incident_id=incident.pk, kind=kind, values=values)
    Source.objects.update(supports=["<script>alert(6)</script>"])
    change_section(actor=author, incident_id=incident.pk, key="went_well", body="ok")
    other = published("Other", visibility="public")
    add_link(actor=author, incident_id=incident.pk, kind="related", to=other.ref, note=XSS[:400])
    tag(incident, slug="xss", quote=XSS)
    Pattern.objects.filter(slug="xss").update(name=short, counts=XSS)
    type(cast.author).objects.filter(pk=cast.author.pk).update(name=short)
    lifecycle.publish(actor=Viewer.system(), incident_id=incident.pk)
    for name in ("author", "anonymous"):
        page = parsed(visit(browser, name, incident))
        assert "alert('x')" in page.text
        assert_inert(page)
        assert_inert(parsed(visit(browser, name, other)))


def test_an_unsafe_stored_address_never_becomes_a_link_target(cast, draft, browser):
    incident = draft()
    row = add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="sources",
        values={"url": "https://a.example", "title": "A source"},
    )
    type(row).objects.filter(pk=row.pk).update(url="javascript:alert(1)", archive_url="data:text/html,x")
    assert_inert(parsed(visit(browser, "author", incident)))


def assert_inert(page):
    for element in page.elements:
        assert not any(name.startswith("on") for name in element.attributes), element
        assert "style" not in element.attributes
        for name in ("href", "src", "action"):
            address = element.attributes.get(name, "")
            assert not address.lower().startswith(("javascript:", "data:", "vbscript:")), element
        if element.tag == "script":
            assert element.attributes["src"].startswith("/static/")
            assert not element.text.strip()
        assert element.tag not in ("img", "iframe", "object", "embed", "base")


def test_everyone_can_read_a_famous_outage_and_no_one_can_edit_it(cast, browser):
    incident = famous()
    for name in Cast.NAMES:
        page = parsed(visit(browser, name, incident))
        assert "Famous" in page.text
        assert not [link for link in page.all("a") if link.text == "Edit"]


def test_what_a_page_cannot_take_is_shown_as_written_and_not_left_out(published, browser, monkeypatch):
    monkeypatch.setattr("kb.web.context.Allowance", lambda: Allowance(60))
    incident = published(text="* It *broke*.\n" * 20, visibility="public")
    lesson = incident.lessons.get()
    page = visit(browser, "anonymous", incident).content.decode()
    assert "<li>It <em>broke</em>.</li>" in page
    assert re.search(r"<pre><code>[^<]*\* It \*broke\*\.</code></pre>", page)
    assert page.count("broke") >= 20
    assert f"<pre><code>{lesson.text}</code></pre>" in page
