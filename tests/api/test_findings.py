"""An incident's patterns with their evidence and people's decisions, similar incidents, and pattern statistics."""

from __future__ import annotations

import pytest
from django.utils import timezone

from incidents.actions.lifecycle import reopen
from incidents.actions.sections import change_section
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from tests.api.conftest import codes, fields
from tests.conftest import Cast
from tests.web.conftest import famous

SENTENCE = "The cache was resized and emptied."


@pytest.fixture
def pattern(db) -> Pattern:
    defaults = {"name": "Retry storm", "family": "load", "counts": "Retries."}
    return Pattern.objects.get_or_create(slug="retry-storm", defaults=defaults)[0]


@pytest.fixture
def tagged(cast, published, pattern):
    incident = published(visibility="public")
    Tag.objects.create(incident=incident, pattern=pattern, source="rule", state="suggested", rule_version=3, score=1.4)
    return incident


def test_a_pattern_is_added_by_hand_with_the_sentence_that_shows_it(api, published, pattern):
    incident = published(visibility="public")
    author = api("author")
    made = author.post(f"incidents/{incident.ref}/patterns", {"slug": "retry-storm", "sentence": SENTENCE})
    assert made.status_code == 201
    assert author.get(made["Location"]).json() == made.json()
    (evidence,) = made.json()["evidence"]
    assert (evidence["field"], evidence["quote"]) == ("sections.summary", SENTENCE)
    (tag,) = api("anonymous").get(f"incidents/{incident.ref}/patterns").json()["results"]
    assert (tag["state"], tag["source"], tag["decided_by"]) == ("confirmed", "person", None)
    assert api("reader").get(made["Location"]).json()["decided_by"] == "Author"
    again = author.post(f"incidents/{incident.ref}/patterns", {"slug": "retry-storm"})
    assert (again.status_code, again.json()["evidence"]) == (200, made.json()["evidence"])
    author.post(f"incidents/{incident.ref}/patterns/retry-storm/undo")
    assert author.post(f"incidents/{incident.ref}/patterns", {"slug": "retry-storm"}).status_code == 201
    refused = author.post(f"incidents/{incident.ref}/patterns", {"slug": "retry-storm", "sentence": "Not there."})
    assert fields(refused) == {"sentence"}
    assert fields(author.post(f"incidents/{incident.ref}/patterns", {"slug": "no-such"})) == {"slug"}


def test_a_decision_can_be_made_and_undone(api, tagged):
    author, address = api("author"), f"incidents/{tagged.ref}/patterns/retry-storm"
    assert author.post(f"{address}/confirm").json()["state"] == "confirmed"
    assert author.get(f"incidents/{tagged.ref}").json()["patterns"] == ["retry-storm"]
    assert fields(author.post(f"{address}/reject", {"reason": " "})) == {"reason"}
    rejected = author.post(f"{address}/reject", {"reason": "No client retried"}).json()
    assert (rejected["state"], rejected["reason"]) == ("rejected", "No client retried")
    undone = author.post(f"{address}/undo").json()
    assert (undone["state"], undone["decided_at"]) == ("withdrawn", None), (
        "the rule does not find the pattern in this text"
    )


def test_a_rejected_pattern_is_shown_only_to_callers_who_can_decide(api, tagged):
    address = f"incidents/{tagged.ref}/patterns/retry-storm"
    api("author").post(f"{address}/reject", {"reason": "No client retried"})
    assert api("lead").get(address).json()["reason"] == "No client retried"
    for name in ("anonymous", "outsider", "reader"):
        assert codes(api(name).get(address)) == (404, "not_found")
        assert api(name).get(f"incidents/{tagged.ref}/patterns").json()["results"] == []


def test_the_reason_of_a_rejection_is_hidden_once_the_pattern_is_suggested_again(api, tagged):
    Tag.objects.filter(incident=tagged).update(reason="Sam said it was not")
    for name in ("anonymous", "author"):
        assert api(name).get(f"incidents/{tagged.ref}/patterns").json()["results"][0]["reason"] == ""


def test_who_rejected_a_resuggested_pattern_is_shown_only_to_callers_who_can_decide(api, cast, tagged):
    Tag.objects.filter(incident=tagged).update(decided_by=cast.author, decided_at=timezone.now())
    address = f"incidents/{tagged.ref}/patterns"
    for name in Cast.NAMES:
        (listed,) = api(name).get(address).json()["results"]
        assert api(name).get(f"{address}/retry-storm").json() == listed
        may_decide = name in ("author", "lead", "admin")
        assert (listed["decided_by"] == "Author", listed["decided_at"] is not None) == (may_decide, may_decide)


def test_rejected_evidence_is_not_shown_with_a_resuggested_pattern(api, published, pattern):
    incident = published(visibility="public")
    made = api("author").post(f"incidents/{incident.ref}/patterns", {"slug": "retry-storm", "sentence": SENTENCE})
    tag = Tag.objects.get(incident=incident)
    tag.evidence = [{**anchor, "rejected": True} for anchor in tag.evidence]
    tag.save()
    assert api("author").get(made["Location"]).json()["evidence"] == []


def test_a_decision_about_a_famous_outage_can_be_replayed(api, cast, pattern):
    outage = famous()
    author = api("author")
    first, again = (
        author.post(f"incidents/{outage.ref}/patterns", {"slug": "retry-storm"}, key="once") for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()


def test_evidence_from_a_draft_is_quoted_only_to_its_writers(api, cast, published, pattern):
    incident = published(visibility="public")
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    secret = "The key of the vault was in the log."
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=secret)
    anchor = {"field": "sections.summary", "hash": "", "start": 0, "end": len(secret), "quote": secret}
    Tag.objects.create(incident=incident, pattern=pattern, source="person", state="confirmed", evidence=[anchor])
    address = f"incidents/{incident.ref}/patterns/retry-storm"
    assert [one["quote"] for one in api("author").get(address).json()["evidence"]] == [secret]
    for name in ("anonymous", "outsider", "reader"):
        assert api(name).get(address).json()["evidence"] == []


def test_similar_incidents_have_reasons_and_hidden_ones_are_left_out(api, published, pattern):
    about, alike, hidden = (
        published(f"Cache emptied {number}", visibility=visibility, text=SENTENCE)
        for number, visibility in enumerate(("public", "public", "team"))
    )
    for incident in (about, alike, hidden):
        Tag.objects.create(incident=incident, pattern=pattern, source="curator", state="confirmed")
    relay.drain()
    found = api("anonymous").get(f"incidents/{about.ref}/similar").json()["results"]
    assert [one["ref"] for one in found] == [alike.ref]
    assert "same pattern: retry storm" in found[0]["reasons"]
    assert {one["ref"] for one in api("reader").get(f"incidents/{about.ref}/similar").json()["results"]} == {
        alike.ref,
        hidden.ref,
    }


def test_pattern_statistics_count_only_what_the_caller_sees(api, cast, published, pattern):
    facts = {"started": "2025-03-01", "mitigations": ["restart"]}
    seen = published("Seen", visibility="public", **facts)
    hidden = published("Hidden", visibility="team", organization="Globex", **(facts | {"started": "2023"}))
    other, _ = Pattern.objects.get_or_create(slug="dns", defaults={"name": "DNS", "family": "network", "counts": "x"})
    for incident, which in ((seen, pattern), (hidden, pattern), (hidden, other)):
        Tag.objects.create(incident=incident, pattern=which, source="curator", state="confirmed")
    address = "patterns/retry-storm/statistics"
    assert api("anonymous").get(address).json() == {
        "slug": "retry-storm",
        "incidents": 1,
        "by_year": [{"year": 2025, "incidents": 1}],
        "with_unknown_year": 0,
        "organizations": [{"name": "Acme", "slug": "acme", "incidents": 1}],
        "together": [],
        "mitigations": [{"mitigation": "restart", "incidents": 1}],
        "with_unknown_mitigation": 0,
        "rule_precision": {"confirmed": 0, "rejected": 0, "share": None, "low": None, "high": None},
    }
    known = api("reader").get(address).json()
    assert [one["incidents"] for one in known["by_year"]] == [1, 0, 1]
    assert known["together"] == [{"slug": "dns", "incidents": 1, "share": 0.5, "lift": 1.0}]
    assert {one["name"] for one in known["organizations"]} == {"Acme", "Globex"}


def test_the_root_url_of_the_api_answers_with_a_problem_document(client):
    for path in ("/api/v1", "/api/v1/"):
        assert client.get(path)["Content-Type"] == "application/problem+json"
