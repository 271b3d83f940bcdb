"""Clients signed in as members of the cast, and parsing of pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from incidents.actions import lifecycle
from incidents.actions.incidents import create_incident
from incidents.actions.sections import change_section
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.search import relay
from tests.conftest import Cast, session_of

VOID = {"meta", "link", "input", "br", "hr", "img", "rect", "source"}


@pytest.fixture
def browser(cast: Cast) -> Callable[[str], Client]:
    """browser("author") is a client signed in as that member of the cast."""

    def sign_in(name: str) -> Client:
        client = Client()
        if user := cast.user(name):
            client.cookies[settings.SESSION_COOKIE_NAME] = session_of(user)
        return client

    return sign_in


@pytest.fixture
def indexed() -> Callable[[], None]:
    """indexed() brings the search index up to date with all changes so far."""

    def drain() -> None:
        relay.drain()

    return drain


def famous(title: str = "One rule used every CPU", organization: str = "Cloudflare", **facts: Any) -> Incident:
    """A published famous outage of another organization."""
    system = Viewer.system()
    incident = create_incident(
        actor=system,
        origin="famous",
        external_id=title,
        facts={
            "title": title,
            "organization": organization,
            "visibility": "public",
            "started": "2019-07-02T13:42Z",
            **facts,
        },
    )
    for key in ("summary", "impact"):
        change_section(actor=system, incident_id=incident.pk, key=key, body="Text.")
    for key in ("timeline", "causes", "lessons", "actions"):
        change_section(actor=system, incident_id=incident.pk, key=key, none_reason="The sources do not say.")
    lifecycle.publish(actor=system, incident_id=incident.pk)
    return incident


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    text: str = ""


@dataclass
class Page:
    """All elements of a page in document order, and its text."""

    elements: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(e.tag for e in self.open))
        self.page.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, {name: value or "" for name, value in attrs}, ()))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.page.text += data
        for element in self.open:
            element.text += data


def parsed(response: HttpResponse) -> Page:
    """Parse a page. Fails when its elements are not closed and nested properly."""
    reader = _Reader()
    reader.feed(response.content.decode())
    reader.close()
    assert not reader.open, f"never closed: {[element.tag for element in reader.open]}"
    return reader.page
