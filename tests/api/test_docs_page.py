"""The API documentation page: it loads nothing from other hosts, and its policy is as strict as that of other pages."""

from __future__ import annotations

from django.test import Client


def test_the_page_has_the_strict_policy_and_loads_nothing_from_other_hosts():
    response = Client().get("/api/v1/docs")
    policy = response["Content-Security-Policy"]
    text = response.content.decode()
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "http://" not in text
    assert "https://" not in text
    assert "<style" not in text
    assert "style=" not in text
