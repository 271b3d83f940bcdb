"""The page that shows the operations: served whole from this machine, under a policy as strict as the other pages'."""

from __future__ import annotations

from django.test import Client


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
