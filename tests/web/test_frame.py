"""Rules for every page: nothing inline, one title, labelled fields, a way back; and the error pages."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from django import forms
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client
from django.urls import include, path

from incidents.errors import Incomplete, Invalid, Missing, NotAllowed, Stale
from incidents.scopes import Viewer
from kb import urls
from tests.conftest import fill
from tests.web.conftest import Page, parsed

MOST_PAGES = 150
UNLABELLED = {"hidden", "submit", "button", "reset", "image"}


# --- The walk --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["anonymous", "reader", "author", "admin"])
def test_every_reachable_page_keeps_the_rules_for_all_pages(cast, draft, published, indexed, browser, name):
    published(
        "Cache went cold",
        visibility="public",
        severity="sev2",
        started="2026-03-03T14:03Z",
        resolved="2026-03-03T15:15Z",
    )
    unfinished = draft("Not finished")
    fill(cast, unfinished)
    indexed()
    client = browser(name)
    waiting, seen = ["/", "/search?q=cache", "/search?q=nothing-at-all", "/nowhere"], set()
    while waiting and len(seen) < MOST_PAGES:
        address = waiting.pop(0)
        if address in seen:
            continue
        seen.add(address)
        response = client.get(address)
        if response.status_code in (301, 302):
            waiting.append(urljoin(address, response["Location"]))
            continue
        assert response.status_code == 200 or address == "/nowhere", (address, response.status_code)
        page = parsed(response)
        check_rules(page, response, address)
        waiting += [target for target in links(page, address) if target not in seen]
    assert {"/", "/search", "/incidents", "/outages", "/organizations", "/patterns"} <= {urlsplit(a).path for a in seen}


def links(page: Page, address: str) -> list[str]:
    """Addresses on this site that a page links to, without fragments."""
    found = []
    for link in page.all("a"):
        target = urlsplit(urljoin(f"http://testserver{address}", link.attributes["href"]))
        if target.netloc == "testserver" and not target.path.startswith(("/api/", "/static/")):
            found.append(target.path + (f"?{target.query}" if target.query else ""))
    return found


def check_rules(page: Page, response, address: str) -> None:
    assert len(page.all("h1")) == 1, address
    assert page.all("title")[0].text.strip(), address
    assert page.all("html")[0].attributes["lang"] == "en"
    assert any(link.attributes == {"class": "skip", "href": "#main"} for link in page.all("a")), address
    assert len(page.all("main")) == 1
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert not (twice := {name for name in ids if ids.count(name) > 1}), f"{address}: {twice} stand twice"
    labels = {label.attributes["for"] for label in page.all("label") if "for" in label.attributes}
    for element in page.elements:
        where = f"{address}: {element}"
        assert "style" not in element.attributes, where
        assert not any(attribute.startswith("on") for attribute in element.attributes), where
        assert not any(attribute.startswith("hx-on") for attribute in element.attributes), where
        assert element.tag != "style", where
        if element.tag == "script":
            assert element.attributes["src"].startswith("/static/"), where
            assert not element.text.strip(), where
        if element.tag in ("script", "link"):
            stored = element.attributes.get("src") or element.attributes.get("href", "")
            assert finders.find(stored.removeprefix("/static/")), f"{where} is not there"
        if element.tag in ("input", "select", "textarea") and element.attributes.get("type") not in UNLABELLED:
            named = element.attributes.get("aria-label") or element.attributes.get("id") in labels
            assert named or "label" in element.inside, f"{where} has no label"
        if element.tag == "button":
            assert element.text.strip() or element.attributes.get("aria-label"), where
        for described in element.attributes.get("aria-describedby", "").split():
            assert described in ids, where
    policy_is_strict(response)


def policy_is_strict(response) -> None:
    directives = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";"))
    assert directives["default-src"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "font-src", "form-action"):
        assert directives[name] == "'self'", name
    assert directives["frame-ancestors"] == "'none'"
    assert directives["base-uri"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]


# --- Who sees what in the frame --------------------------------------------------------------------
def test_only_authors_are_offered_a_new_postmortem(cast, browser):
    offered = {
        name: any(link.text == "New postmortem" for link in parsed(browser(name).get("/outages")).all("a"))
        for name in cast.NAMES
    }
    assert {name for name, is_offered in offered.items() if is_offered} == {
        "outsider",
        "reviewer",
        "author",
        "lead",
        "admin",
    }


def test_the_current_page_is_marked_in_the_navigation(cast, browser):
    page = parsed(browser("anonymous").get("/patterns"))
    current = [link for link in page.all("a") if "aria-current" in link.attributes]
    assert [(link.text, link.attributes["href"]) for link in current] == [("Patterns", "/patterns")]


def test_the_frame_names_the_home_organization_and_the_readers_zone(cast, browser):
    cast.author.time_zone = "Asia/Kolkata"
    cast.author.save()
    page = parsed(browser("author").get("/patterns"))
    assert "Acme: what failed" in page.text
    assert "Times in Asia/Kolkata" in page.text
    assert "Times in UTC" in parsed(browser("anonymous").get("/patterns")).text


def test_a_time_zone_unknown_to_this_machine_locks_no_user_out(cast, browser):
    cast.author.time_zone = "Mars/Olympus"
    cast.author.save()
    assert "Times in UTC" in parsed(browser("author").get("/patterns")).text


def test_the_time_zone_of_one_request_does_not_leak_into_the_next(cast, browser):
    cast.author.time_zone = "Asia/Kolkata"
    cast.author.save()
    browser("author").get("/patterns")
    assert "Times in UTC" in parsed(browser("anonymous").get("/patterns")).text


def test_a_user_whose_account_is_closed_is_anonymous_at_once(cast, draft, browser):
    incident = draft()
    client = browser("author")
    assert client.get(f"/incidents/{incident.ref}").status_code == 200
    cast.author.is_active = False
    cast.author.save()
    assert client.get(f"/incidents/{incident.ref}").status_code == 404


def test_pages_are_not_stored_in_shared_caches(cast, browser):
    for name in ("anonymous", "author"):
        assert {"private", "no-cache"} <= set(re.split(r",\s*", browser(name).get("/")["Cache-Control"]))


# --- Error pages -----------------------------------------------------------------------------------
REFUSALS = {
    "missing": (Missing(), 404, "not shared with you"),
    "not-allowed": (NotAllowed("Only leads can change this."), 403, "Only leads can change this."),
    "invalid": (Invalid({"title": "This field is required."}), 400, "title: This field is required."),
    "stale": (Stale(3), 409, "Someone else changed this"),
    "incomplete": (Incomplete({"summary": "Summary: no text yet"}), 409, "Summary: no text yet"),
    "forbidden": (PermissionDenied(), 403, "not allowed to do this"),
    "suspicious": (SuspiciousOperation("x"), 400, "could not be read"),
    "broken": (RuntimeError("secret detail"), 500, "Something went wrong"),
    "database-away": (OperationalError("secret detail"), 503, "If you were saving something, it was not saved"),
}


def refuse(request: HttpRequest, reason: str):
    raise REFUSALS[reason][0]


handler500 = urls.handler500
urlpatterns = [path("refuse/<reason>", refuse), path("api/", include("kb.api.urls")), path("", include("kb.web.urls"))]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("reason", REFUSALS)
def test_every_error_is_a_calm_page_with_its_status(db, reason):
    _, status, words = REFUSALS[reason]
    response = Client(raise_request_exception=False).get(f"/refuse/{reason}")
    assert response.status_code == status
    page = parsed(response)
    assert words in page.text
    assert len(page.all("h1")) == 1
    assert any(link.attributes["href"] == "/" for link in page.all("a"))
    assert "secret detail" not in page.text
    policy_is_strict(response)


def links_of(response):
    return [link.attributes["href"] for link in parsed(response).all("a")]


@pytest.mark.parametrize(
    ("name", "address", "status"),
    [
        ("author", "publish", 409),
        ("reader", "publish", 403),
        ("author", "history/compare?from=1&to=9", 404),
        ("author", "publish/now", 405),
    ],
)
def test_an_error_below_an_incident_links_back_to_it(cast, browser, published, name, address, status):
    here = f"/incidents/{published().ref}"
    response = browser(name).get(f"{here}/{address}")
    assert response.status_code == status
    assert here in links_of(response)


@pytest.mark.parametrize(("address", "status"), [("review", 404), ("publish/now", 405)])
def test_an_error_below_an_incident_that_the_viewer_cannot_see_does_not_link_to_it(
    cast, browser, draft, address, status
):
    here = f"/incidents/{draft().ref}"
    response = browser("outsider").get(f"{here}/{address}")
    assert response.status_code == status
    assert here not in links_of(response)


@pytest.mark.parametrize(
    ("address", "words"),
    [("/incidents/new", "Ask a team lead or an admin for access."), ("/people", "Only admins can manage people")],
)
def test_a_page_that_is_not_allowed_says_once_who_can_help(cast, browser, address, words):
    text = parsed(browser("reader").get(address)).text
    assert words in text
    assert "If you need access" not in text


@pytest.mark.parametrize(("path", "kind"), [("/patterns", "text/html"), ("/api/v1/me", "application/problem+json")])
def test_a_database_failure_before_the_view_gives_the_same_page_as_one_inside_it(
    cast, browser, monkeypatch, path, kind
):
    client = browser("author")

    def away(user):
        raise OperationalError("secret detail")

    monkeypatch.setattr(SessionStore, "load", away)
    client.raise_request_exception = False
    response = client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response["Content-Type"].startswith(kind)
    assert "secret detail" not in response.content.decode()


def test_a_form_without_its_csrf_token_is_rejected_and_the_page_says_what_to_do(cast):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.author, backend="django.contrib.auth.backends.ModelBackend")
    response = client.post("/search")
    assert response.status_code == 403
    assert "reload the page" in parsed(response).text


def test_pages_do_not_accept_posts(cast, browser, draft):
    incident = draft()
    for address in (
        "/",
        "/incidents",
        f"/incidents/{incident.ref}",
        "/outages",
        "/organizations",
        "/patterns",
    ):
        assert browser("admin").post(address).status_code == 405


def test_the_viewer_is_resolved_once_per_request(cast, browser, monkeypatch):
    asked = []
    resolve = Viewer.of
    monkeypatch.setattr(Viewer, "of", lambda user: asked.append(user) or resolve(user))
    browser("author").get("/outages")
    assert len(asked) == 1


# --- Forms -----------------------------------------------------------------------------------------
class Example(forms.Form):
    title = forms.CharField(label="Title", help_text="One line.", max_length=5)
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea)
    severity = forms.ChoiceField(
        label="Severity",
        help_text="As it was.",
        widget=forms.RadioSelect,
        choices=[("sev1", "SEV 1"), ("sev2", "SEV 2")],
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


def test_a_field_links_its_label_hint_and_errors_to_its_input():
    form = Example({"title": "<b>too long", "note": "", "version": "1"})
    html = "".join(
        render_to_string("web/parts/field.html", {"field": form[name]})
        for name in ("title", "note", "severity", "version")
    )
    page = parsed(HttpResponse(html))
    ids = {element.attributes.get("id") for element in page.elements}
    title = next(element for element in page.all("input") if element.attributes["name"] == "title")
    assert title.attributes["aria-describedby"].split() == ["id_title_helptext", "id_title_error"]
    assert title.attributes["aria-invalid"] == "true"
    assert set(title.attributes["aria-describedby"].split()) <= ids
    assert [label.attributes["for"] for label in page.all("label")][:2] == ["id_title", "id_note"]
    group = page.all("fieldset")[0]
    assert set(group.attributes["aria-describedby"].split()) <= ids
    assert page.all("legend")[0].text.strip() == "Severity"
    assert "At most" in page.text or "at most 5 characters" in page.text
    assert "<b>too" not in html


@pytest.mark.parametrize("name", ["400.html", "403_csrf.html", "500.html", "503.html"])
def test_server_error_pages_need_neither_the_database_nor_the_request(name):
    page = parsed(HttpResponse(render_to_string(name)))
    assert len(page.all("h1")) == 1
    assert any(link.attributes["href"] == "/" for link in page.all("a"))
