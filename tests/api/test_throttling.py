"""Rate limits, which also hold while the cache that counts requests is unavailable."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from kb.api import throttling
from kb.api.checks import rates_can_be_read
from tests.api.conftest import Caller, codes


@pytest.fixture
def rates(settings: Any) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"user": "3/hour", "address": "2/hour"},
    }


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache that swallows errors, as in the full mode while Redis is unreachable. Returns the requested keys."""
    asked: list[str] = []

    class Away:
        def add(self, key: str, value: int, timeout: int) -> None:
            asked.append(key)

    monkeypatch.setattr(throttling, "cache", Away())
    return asked


def test_a_user_over_the_limit_gets_429_with_retry_after(api, rates):
    author, lead = api("author"), api("lead")
    assert [author.get("me").status_code for _ in range(3)] == [200, 200, 200]
    refused = author.get("me")
    assert codes(refused) == (429, "throttled")
    assert 1 <= int(refused["Retry-After"]) <= 3600
    assert lead.get("me").status_code == 200


def test_anonymous_callers_share_the_limit_of_their_address(api, rates):
    stranger = api("anonymous")
    assert [stranger.get("incidents").status_code for _ in range(3)] == [200, 200, 429]
    assert stranger.client.get("/api/v1/incidents", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert api("author").get("me").status_code == 200


def test_unknown_urls_count_for_the_user_who_asks(api, rates):
    author = api("author")
    assert [api("anonymous").get("nowhere").status_code for _ in range(3)] == [404, 404, 429]
    assert [author.get("incidents/INC_12").status_code for _ in range(4)] == [404, 404, 404, 429]
    assert "looks like INC-12" in api("lead").get("incidents/INC_12").json()["detail"]


def test_refused_requests_of_anonymous_callers_and_read_tokens_count(api, rates):
    assert [api("anonymous").get("me").status_code for _ in range(4)] == [401, 401, 429, 429]
    reads = api("author", "read")
    assert [reads.post("tokens", {"name": "x"}).status_code for _ in range(4)] == [403, 403, 403, 429]


def test_guessing_tokens_counts(db, rates):
    statuses = [Caller(Client(), f"precedent_{number}").get("me").status_code for number in range(4)]
    assert statuses == [401, 401, 429, 429]


def test_limits_hold_without_the_cache_and_it_is_not_tried_every_time(api, rates, no_cache):
    author = api("author")
    assert [author.get("me").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert len(no_cache) == 1


def test_the_cache_is_tried_again_after_a_pause(no_cache, monkeypatch):
    counts = throttling.Counts()
    counts.add("a", 60)
    now = time.monotonic()
    monkeypatch.setattr(throttling.time, "monotonic", lambda: now + throttling.CACHE_RETRY_SECONDS + 1)
    counts.add("a", 60)
    assert len(no_cache) == 2


def test_counting_without_the_cache_takes_bounded_memory(no_cache, monkeypatch):
    monkeypatch.setattr(throttling, "MOST_LOCAL_COUNTS", 100)
    counts = throttling.Counts()
    for number in range(1_000):
        counts.add(f"address {number}", 60)
    assert len(counts._local) <= 100
    assert [counts.add("one", 60) for _ in range(3)] == [1, 2, 3]


def test_counts_are_shared_through_the_cache():
    one, two = throttling.Counts(), throttling.Counts()
    assert [one.add("a", 60), two.add("a", 60), one.add("a", 60)] == [1, 2, 3]


@pytest.mark.postgres_only
def test_an_unreachable_redis_fails_no_request_and_lifts_no_limit(api, rates, monkeypatch, settings):
    """Uses a real client, connected to a port where nothing listens."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    monkeypatch.setattr(throttling, "cache", caches.create_connection("default"))
    began = time.monotonic()
    assert [api("author").get("me").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "rate", ["", "fast", "0/min", "10", "10/week", "-1/min", "1000/month", "5/hamburger", "300/ms"]
)
def test_a_malformed_rate_is_refused(rate):
    with pytest.raises(ValueError, match="not a rate"):
        throttling.parse(rate)


def test_rates_are_parsed():
    assert [throttling.parse(rate) for rate in ("300/min", "5/s", "7/hour", "9/day")] == [
        (300, 60),
        (5, 1),
        (7, 3_600),
        (9, 86_400),
    ]


def test_a_malformed_rate_fails_the_system_check(settings):
    assert rates_can_be_read(None) == []
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"user": "often", "address": "2/min"},
    }
    (error,) = rates_can_be_read(None)
    assert error.id == "kb.E020"
    assert "API_RATE_USER" in error.msg
