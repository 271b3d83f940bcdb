"""The page that shows the API's operations, tried in a browser under the strict Content Security Policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from incidents.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)


def test_operations_are_shown_and_can_be_tried_without_violating_the_policy(people):
    ana = people("author")
    complaints: list[str] = []
    ana.page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page = ana.go("/api/v1/docs")
    expect(page.get_by_role("heading", name="Precedent")).to_be_visible()
    assert page.locator(".opblock").count() > 60
    for scheme, name in (("dark", "dark-mode"), ("light", "")):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_class(name)
    page.locator("#operations-tokens-tokens_create .opblock-summary-control").click()
    block = page.locator("#operations-tokens-tokens_create")
    block.get_by_role("button", name="Try it out").click()
    block.locator("textarea").fill('{"name": "From the page"}')
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").get_by_text("201")).to_be_visible()
    assert AuditEntry.objects.filter(action="token.created").exists()
    assert [*complaints, *ana.complaints] == []
