"""The number of queries behind each response: a committed baseline that is the same for one row and for many."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents.actions.lifecycle import reopen
from incidents.actions.links import add_link
from incidents.models import ReviewRequest
from kb.api.views.meta import openapi
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from tests.api.conftest import Caller, template_of

# Two of each are for the caller: the token with its owner, and the viewer's roles and reviews.
BASELINE = {
    "incidents": 7,
    "incidents?sort=-started&severity=sev1&service=ledger&status=published": 7,
    "incidents/{ref}": 8,
    "incidents/{ref}/sections": 4,
    "incidents/{ref}/timeline": 4,
    "incidents/{ref}/causes": 4,
    "incidents/{ref}/lessons": 4,
    "incidents/{ref}/actions": 5,
    "incidents/{ref}/impact_figures": 4,
    "incidents/{ref}/sources": 4,
    "incidents/{ref}/disagreements": 4,
    "incidents/{ref}/links": 5,
    "incidents/{ref}/patterns": 8,
    "incidents/{ref}/similar": 13,
    "incidents/{ref}/reviews": 4,
    "incidents/{ref}/audit": 7,
    "incidents/{ref}/revisions": 4,
    "incidents/{ref}/export": 7,
    "organizations": 4,
    "services": 3,
    "teams": 4,
    "teams/checkout/members": 4,
    "templates": 3,
    "patterns": 3,
    "patterns/dns/statistics": 9,
    "search": 7,
    "search?q=cache": 7,
    "tokens": 3,
    "me": 2,
}


def test_the_number_of_queries_is_known_and_does_not_grow_with_the_rows(api, cast, published):
    pattern, _ = Pattern.objects.get_or_create(slug="dns", defaults={"name": "DNS", "family": "network", "counts": "x"})
    first = published("first", severity="sev1", services=["Ledger"])

    def more(number: int) -> None:
        """Add one of everything that the lists show, and reopen the incident."""
        facts = {"severity": "sev1", "services": [f"Ledger {number}", "Ledger"], "organization": f"Org {number}"}
        incident = published(f"{number}", **facts)
        Tag.objects.create(incident=incident, pattern=pattern, source="curator", state="confirmed")
        add_link(actor=cast.viewer("author"), incident_id=first.pk, kind="related", to=incident.ref)
        reopen(actor=cast.viewer("author"), incident_id=incident.pk)
        ReviewRequest.objects.create(
            incident=first, reviewer=cast.reviewer, asked_by=cast.author, ended_at=timezone.now()
        )
        relay.drain()

    def counts() -> dict[str, int]:
        of_authors = ("/audit", "/reviews")
        return {
            path: _queries(api("author" if path.endswith(of_authors) else "reader"), path, first.ref)
            for path in BASELINE
        }

    more(0)
    assert counts() == BASELINE
    for number in range(1, 5):
        more(number)
    assert counts() == BASELINE


def test_every_list_has_a_baseline():
    many = {path for path, operations in openapi()["paths"].items() if "get" in operations and not path.endswith("}")}
    counted = {template_of("/api/v1/" + path.partition("?")[0].format(ref="INC-1")) for path in BASELINE}
    assert many - {"/api/v1/schema"} <= counted


def _queries(caller: Caller, path: str, ref: str) -> int:
    caller.get(path.format(ref=ref))
    with CaptureQueriesContext(connection) as captured:
        assert caller.get(path.format(ref=ref)).status_code == 200
    return len(captured)
