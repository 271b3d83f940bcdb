"""A real browser against a real server. `Person.look` checks a page on the way: axe, the console, the width."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import Cast, session_of

DESKTOP, PHONE = 1280, 390
# Milliseconds. A machine that runs two browsers and a database at once may be slow, but never wrong.
PATIENCE = 20_000
COLOUR_RULES = ["color-contrast", "link-in-text-block"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's event loop runs in this thread, so Django would refuse database access that is in fact safe.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def _one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve one request at a time on SQLite: all server threads share one connection to the in-memory test database."""
    if connection.vendor != "sqlite":
        return
    lock, answer = threading.Lock(), WSGIHandler.__call__

    def one_by_one(handler: WSGIHandler, environ: Any, start_response: Any) -> Any:
        with lock:
            return answer(handler, environ, start_response)

    monkeypatch.setattr(WSGIHandler, "__call__", one_by_one)


@dataclass
class Person:
    """A user with a browser of their own."""

    page: Page
    context: BrowserContext
    url: str
    schemes: tuple[str, ...] = ("dark", "light")
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def saved(self) -> None:
        """Wait until everything is saved."""
        expect(self.page.locator("#save-state")).to_contain_text("All changes saved", timeout=PATIENCE)

    def look(self) -> None:
        """Check what must hold on every page, in each of the person's colour schemes."""
        rules: dict[str, Any] = {}
        for scheme in self.schemes:
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found = Axe().run(self.page, options={"resultTypes": ["violations"], **rules})
            told = [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found.response["violations"]]
            assert told == [], (self.page.url, scheme)
            # Another scheme changes only colours.
            rules = {"runOnly": {"type": "rule", "values": COLOUR_RULES}}
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} scrolls sideways by {wide} px"
        assert self.complaints == [], self.page.url


@pytest.fixture
def people(chromium: Browser, live_server: Any, cast: Cast, settings: Any) -> Iterator[Callable[..., Person]]:
    """people(width=390): a new person, signed in if a name from the cast is given."""
    settings.BASE_URL = live_server.url
    contexts: list[BrowserContext] = []

    def arrive(
        name: str = "", *, width: int = DESKTOP, scripts: bool = True, schemes: tuple[str, ...] = ("dark", "light")
    ) -> Person:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, timezone_id="Europe/Madrid"
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        person = Person(context.new_page(), context, live_server.url, schemes)
        person.page.on("pageerror", lambda error: person.complaints.append(str(error)))
        person.page.on("console", lambda m: person.complaints.append(m.text) if "Content Security" in m.text else None)
        if name:
            # Signing in has its own test.
            session = session_of(cast.user(name))
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        return person

    expect.set_options(timeout=PATIENCE)
    yield arrive
    for context in contexts:
        context.close()
