"""The page that shows the operations: served whole from this machine, under a policy as strict as the other pages'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, sync_playwright

from incidents.models import AuditEntry
from tests.conftest import PASSWORD, Cast


def test_the_page_carries_the_strict_policy_and_loads_nothing_from_elsewhere():
    response = Client().get("/api/v1/docs")
    policy = response["Content-Security-Policy"]
    text = response.content.decode()
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "http://" not in text
    assert "https://" not in text
    assert "<style" not in text
    assert "style=" not in text


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    # The browser's own loop runs in this thread; the database is still used by this thread alone.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.mark.e2e
@pytest.mark.django_db(transaction=True)
def test_operations_are_shown_and_tried_without_breaking_the_policy(live_server: Any, cast: Cast, page: Page):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{live_server.url}/sign-in")
    page.get_by_label("E-mail").fill("author@acme.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{live_server.url}/api/v1/docs")
    page.get_by_role("heading", name="Precedent").wait_for()
    assert page.locator(".opblock").count() > 60
    page.locator("#operations-tokens-tokens_create .opblock-summary-control").click()
    block = page.locator("#operations-tokens-tokens_create")
    block.get_by_role("button", name="Try it out").click()
    block.locator("textarea").fill('{"name": "From the page"}')
    block.get_by_role("button", name="Execute").click()
    block.locator(".live-responses-table .response-col_status", has_text="201").wait_for()
    assert AuditEntry.objects.filter(action="token.created").exists()
    assert complaints == []
