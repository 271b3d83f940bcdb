"""Pagination: every row once and in order, despite concurrent inserts and deletes, with tamper-proof cursors."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.core import signing

from incidents.models import Incident
from kb.api import pagination
from kb.search import relay
from tests.api.conftest import Caller, codes, fields


def walk(caller: Caller, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    address: str | None = path
    while address:
        page = caller.get(address).json()
        found += page["results"]
        address = page["next"]
        assert address is None or address.startswith(f"{settings.BASE_URL}/api/v1/")
    return found


@pytest.mark.parametrize("sort", ["created", "-created", "started", "-started"])
def test_paging_returns_every_row_once_and_in_order(api, draft, sort):
    starts = ["2026-01-01", None, "2026-01-02", "2026-01-01", None, "1962", "2026-01-02T00:00Z"]
    for number, start in enumerate(starts):
        draft(f"{number}", started=start)
    whole = api("author").get(f"incidents?sort={sort}").json()["results"]
    assert sorted(line["title"] for line in whole) == [str(number) for number in range(len(starts))]
    for size in (1, 2, 3):
        assert walk(api("author"), f"incidents?sort={sort}&page_size={size}") == whole
    if "started" in sort:
        assert {line["title"] for line in whole[-2:]} == {"1", "4"}


def test_urls_in_responses_use_the_public_base_url_behind_a_proxy(api, draft, settings):
    """A proxy may terminate TLS, and clients send their token to the URLs they follow."""
    settings.BASE_URL, settings.ALLOWED_HOSTS = "https://precedent.example", ["precedent.example"]
    draft()
    made = api("author").post("incidents", {"title": "Another", "team": "checkout"}, Host="precedent.example")
    relay.drain()
    incidents = api("author").get("incidents?page_size=1", Host="precedent.example").json()
    found = api("author").get("search?status=draft&page_size=1", Host="precedent.example").json()
    addresses = [made["Location"], made.json()["url"]]
    addresses += [address for page in (incidents, found) for address in (page["results"][0]["url"], page["next"])]
    assert {address.partition("/api/v1/")[0] for address in addresses} == {"https://precedent.example"}


def test_inserts_and_deletes_between_pages_shift_nothing(api, draft):
    for number in range(6):
        draft(f"{number}")
    first = api("author").get("incidents?page_size=3").json()
    assert [line["title"] for line in first["results"]] == ["5", "4", "3"]
    Incident.objects.filter(title__in=["5", "3"]).delete()
    draft("6")
    assert [line["title"] for line in api("author").get(first["next"]).json()["results"]] == ["2", "1", "0"]


@pytest.mark.parametrize(
    "path", ["organizations", "teams", "templates", "patterns", "tokens", "teams/checkout/members"]
)
def test_every_list_is_paginated(api, path):
    admin = api("admin")
    for number in range(3):
        admin.post("organizations", {"name": f"Org {number}"})
        admin.post("teams", {"name": f"Team {number}"})
        admin.post("tokens", {"name": f"Token {number}"})
    whole = admin.get(f"{path}?page_size=100").json()["results"]
    assert walk(admin, f"{path}?page_size=1") == whole


def test_the_audit_trail_is_paginated_newest_first(api, published):
    incident = published()
    entries = walk(api("author"), f"incidents/{incident.pk}/audit?page_size=2")
    assert entries == api("author").get(f"incidents/{incident.pk}/audit?page_size=100").json()["results"]
    assert entries[0]["action"] == "incident.published"
    assert entries[-1]["action"] == "incident.created"


def cursor_of(api, path: str) -> str:
    return parse_qs(urlsplit(api("author").get(path).json()["next"]).query)["cursor"][0]


def test_a_cursor_from_another_query_is_refused(api, draft):
    for number in range(3):
        draft(f"{number}", started="2026")
    cursor = cursor_of(api, "incidents?page_size=1&sort=started")
    assert api("author").get(f"incidents?sort=started&page_size=2&cursor={cursor}").status_code == 200
    for path in (
        "incidents?",
        "incidents?sort=-started&",
        "incidents?sort=started&severity=sev1&",
        "organizations?sort=started&",
        "organizations?",
        "search?sort=newest&",
    ):
        refused = api("author").get(f"{path}cursor={cursor}")
        assert refused.status_code == 400
        assert fields(refused) == ({"sort"} if path.startswith("organizations?sort") else {"cursor"})


@pytest.mark.parametrize(
    "bend", [lambda c: c[:-2] + ("A" if c[-2] != "A" else "B") + c[-1], lambda c: "x" + c, str.swapcase]
)
def test_a_tampered_cursor_is_refused(api, draft, bend):
    draft(), draft()
    cursor = bend(cursor_of(api, "incidents?page_size=1"))
    refused = api("author").get(f"incidents?cursor={cursor}")
    assert codes(refused) == (400, "invalid")
    assert fields(refused) == {"cursor"}


def test_a_cursor_signed_for_another_purpose_is_refused(api):
    forged = signing.dumps(["0" * 16, None, 1], salt="something else")
    assert fields(api("author").get(f"incidents?cursor={forged}")) == {"cursor"}
    assert fields(api("author").get(f"incidents?cursor={'x' * (pagination.LONGEST_CURSOR + 1)}")) == {"cursor"}


@pytest.mark.parametrize("size", ["0", "101", "-1", "1.5", "x", "", "²", "999999999999999999999"])
@pytest.mark.parametrize("path", ["incidents", "search", "organizations"])
def test_a_page_size_out_of_range_is_refused(api, path, size):
    assert fields(api("author").get(f"{path}?page_size={size}")) == {"page_size"}


def test_a_repeated_parameter_is_refused_unless_it_takes_several_values(api):
    assert fields(api("author").get("incidents?sort=created&sort=started")) == {"sort"}
    assert api("author").get("incidents?origin=own&origin=famous").status_code == 200
