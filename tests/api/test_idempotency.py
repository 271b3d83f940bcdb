"""POSTs with an Idempotency-Key: repeated, concurrent, or retried after a crash, the work is done once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents.actions import compose
from incidents.actions.organizations import set_membership
from incidents.models import Incident, Lesson
from kb.api import idempotency
from kb.api.models import AccessToken, StoredAnswer
from kb.api.views import incidents as views
from tests.api.conftest import Caller, caller, codes, fields

BODY = {"title": "Checkout returned errors", "team": "checkout"}


def test_a_repeated_request_gets_the_same_response_and_does_nothing(api):
    author = api("author")
    first = author.post("incidents", BODY, key="a")
    again = author.post("incidents", BODY, key="a")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (again["ETag"], again["Location"]) == (first["ETag"], first["Location"])
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert Incident.objects.count() == 1


def test_the_formatting_of_the_body_does_not_matter(api):
    author = api("author")
    author.post("incidents", b'{"title": "x", "team": "checkout"}', key="a")
    assert (
        author.post("incidents", b'{ "team":"checkout","title":"\\u0078" }', key="a")["Idempotency-Replayed"] == "true"
    )


def test_a_whole_number_is_the_same_in_any_notation(api):
    for seconds, replayed in ((b"60", False), (b"60.0", True), (b"6e1", True)):
        body = b'{"title": "x", "team": "checkout", "stated_duration": {"seconds": ' + seconds + b"}}"
        answer = api("author").post("incidents", body, key="a")
        assert (answer.status_code, "Idempotency-Replayed" in answer) == (201, replayed)


def test_the_same_key_with_another_body_is_a_conflict(api):
    author = api("author")
    author.post("incidents", BODY, key="a")
    refused = author.post("incidents", {**BODY, "title": "Another"}, key="a")
    assert codes(refused) == (409, "idempotency_key_reused")
    assert Incident.objects.count() == 1


def test_a_key_belongs_to_one_user_and_path(api, draft):
    author, lead = api("author"), api("lead")
    author.post("incidents", BODY, key="a")
    assert "Idempotency-Replayed" not in lead.post("incidents", BODY, key="a")
    one, two = draft(), draft()
    for incident in (one, two):
        assert "Idempotency-Replayed" not in author.post(f"incidents/{incident.pk}/lessons", {"text": "x"}, key="a")
    assert author.post(f"incidents/{one.pk}/lessons", {"text": "x"}, key="a")["Idempotency-Replayed"] == "true"
    assert Lesson.objects.count() == 2


def test_a_second_request_during_the_first_is_told_to_wait(api, monkeypatch):
    """The second request arrives in the middle of the work of the first."""
    author, seen = api("author"), []

    def create(**values: Any) -> Any:
        seen.append(author.post("incidents", BODY, key="a"))
        return compose.create_with_content(**values)

    monkeypatch.setattr(views, "create_with_content", create)
    assert author.post("incidents", BODY, key="a").status_code == 201
    (second,) = seen
    assert codes(second) == (409, "idempotency_in_progress")
    assert 1 <= int(second["Retry-After"]) <= 60
    assert Incident.objects.count() == 1
    assert author.post("incidents", BODY, key="a")["Idempotency-Replayed"] == "true"


def test_a_crashed_request_holds_the_key_only_until_its_lease_expires(api, cast):
    """A crash leaves a committed claim and nothing else."""
    author = api("author")
    author.post("incidents", BODY, key="a")
    Incident.objects.all().delete()
    now = timezone.now()
    StoredAnswer.objects.update(status=None, body=None, incident_id=None, leased_until=now + timedelta(seconds=30))
    assert codes(author.post("incidents", BODY, key="a")) == (409, "idempotency_in_progress")
    StoredAnswer.objects.update(leased_until=now - timedelta(seconds=1))
    taken = author.post("incidents", BODY, key="a")
    assert taken.status_code == 201
    assert "Idempotency-Replayed" not in taken
    assert Incident.objects.count() == 1


def test_a_slow_request_cannot_finish_after_another_took_over_its_claim(api, monkeypatch):
    author = api("author")

    def create(**values: Any) -> Any:
        # Meanwhile the lease expired and another request took over the claim.
        StoredAnswer.objects.update(lease=uuid.uuid4())
        return compose.create_with_content(**values)

    monkeypatch.setattr(views, "create_with_content", create)
    assert codes(author.post("incidents", BODY, key="a")) == (409, "idempotency_in_progress")
    assert not Incident.objects.exists()


def test_a_refused_request_does_nothing_and_its_key_can_be_used_with_a_corrected_body(api):
    author = api("author")
    assert fields(author.post("incidents", {**BODY, "severity": "huge"}, key="a")) == {"severity"}
    assert author.post("incidents", {**BODY, "severity": "sev9"}, key="a").status_code == 400
    assert author.post("incidents", {**BODY, "started": "never"}, key="a").status_code == 400
    assert author.post("incidents", {**BODY, "severity": "sev1"}, key="a").status_code == 201
    assert Incident.objects.count() == 1


def test_an_internal_error_releases_the_key(api, monkeypatch):
    author = api("author")

    def fail(**values: Any) -> Any:
        compose.create_with_content(**values)
        raise RuntimeError("after the write, before the answer")

    with monkeypatch.context() as patched:
        patched.setattr(views, "create_with_content", fail)
        headers = {"Authorization": f"Bearer {author.secret}", "Idempotency-Key": "a"}
        response = author.client.post("/api/v1/incidents", BODY, content_type="application/json", headers=headers)
        assert codes(response) == (500, "internal")
    assert not Incident.objects.exists()
    assert not StoredAnswer.objects.exists()
    assert author.post("incidents", BODY, key="a").status_code == 201


def test_a_response_is_not_replayed_once_its_incident_is_hidden(api, cast):
    author = api("author")
    address = author.post("incidents", BODY, key="a").json()["url"]
    author.post(f"{address}/lessons", {"text": "secret"}, key="b")
    # The author leaves the team and can no longer see its drafts.
    set_membership(actor=cast.viewer("admin"), team_id=cast.checkout.pk, user=cast.author, role=None)
    for path, body, key in (("incidents", BODY, "a"), (f"{address}/lessons", {"text": "secret"}, "b")):
        assert codes(author.post(path, body, key=key)) == (404, "not_found")


def test_a_response_is_not_replayed_once_its_incident_is_deleted(api):
    author = api("author")
    address = author.post("incidents", BODY, key="a").json()["url"]
    assert api("lead").delete(address).status_code == 204
    assert codes(author.post("incidents", BODY, key="a")) == (404, "not_found")


def test_a_response_to_a_writer_is_not_replayed_once_they_only_read(api, cast, published):
    """A stored response does not bring back the working copy to a user who can only see the revision now."""
    incident = published(visibility="public")
    assert api("author").post(f"incidents/{incident.pk}/reopen", key="a").status_code == 200
    set_membership(actor=cast.viewer("admin"), team_id=cast.checkout.pk, user=cast.author, role="reader")
    assert codes(api("author").post(f"incidents/{incident.pk}/reopen", key="a")) == (404, "not_found")
    assert api("author").get(f"incidents/{incident.pk}").json()["status"] == "published"


HIDINGS = {
    "narrowed": lambda api, target: api("outsider").patch(f"incidents/{target.pk}", {"visibility": "team"}),
    "deleted": lambda api, target: api("outsider").delete(f"incidents/{target.pk}"),
}


@pytest.fixture
def linked(api, cast, published):
    """(an incident of Checkout, the incident of Payments that it links to). The author's responses with the link are
    stored under the keys "link" (the link itself) and "reopen" (the incident with its links)."""
    incident, target = published(), published("Payments were slow", visibility="public")
    Incident.objects.filter(pk=target.pk).update(team=cast.payments)
    author = api("author")
    link = {"kind": "related", "to": target.ref}
    assert author.post(f"incidents/{incident.pk}/links", link, key="link").status_code == 201
    reopened = author.post(f"incidents/{incident.pk}/reopen", key="reopen").json()
    assert [shown["incident"]["ref"] for shown in reopened["links"]] == [target.ref]
    return incident, target


@pytest.mark.parametrize("hide", HIDINGS.values(), ids=HIDINGS)
def test_a_replayed_response_omits_links_to_incidents_that_are_now_hidden(api, linked, hide):
    incident, target = linked
    author, link = api("author"), {"kind": "related", "to": target.ref}
    again = author.post(f"incidents/{incident.pk}/links", link, key="link")
    assert (again.status_code, again.json()["incident"]["ref"]) == (201, target.ref)
    assert len(author.post(f"incidents/{incident.pk}/reopen", key="reopen").json()["links"]) == 1

    assert hide(api, target).status_code in (200, 204)
    assert codes(author.post(f"incidents/{incident.pk}/links", link, key="link")) == (404, "not_found")
    again = author.post(f"incidents/{incident.pk}/reopen", key="reopen")
    assert (again["Idempotency-Replayed"], again.json()["links"]) == ("true", [])


def test_links_to_visible_incidents_are_replayed_and_checked_in_one_query(api, linked, published):
    incident, target = linked
    author, others = api("author"), [published(f"Other {number}", visibility="public") for number in range(3)]
    for other in others:
        author.post(f"incidents/{incident.pk}/links", {"kind": "related", "to": other.ref})
    author.post(f"incidents/{incident.pk}/submit", {"reviewers": ["reviewer@acme.example"]}, key="submit")

    def replay() -> tuple[list[str], int]:
        with CaptureQueriesContext(connection) as queries:
            again = author.post(
                f"incidents/{incident.pk}/submit", {"reviewers": ["reviewer@acme.example"]}, key="submit"
            )
        return [link["incident"]["ref"] for link in again.json()["links"]], len(queries)

    refs, with_four = replay()
    assert refs == [shown.ref for shown in (target, *others)]
    stored = StoredAnswer.objects.get(key="submit")
    StoredAnswer.objects.filter(pk=stored.pk).update(body={**stored.body, "links": stored.body["links"][:1]})
    assert replay() == ([target.ref], with_four)
    HIDINGS["narrowed"](api, target)
    StoredAnswer.objects.filter(pk=stored.pk).update(body=stored.body)
    assert replay() == ([shown.ref for shown in others], with_four)


def test_responses_with_tokens_are_never_stored(api):
    author = api("author")
    first = author.post("tokens", {"name": "Pager"}, key="a")
    second = author.post("tokens", {"name": "Pager"}, key="a")
    assert first.json()["token"] != second.json()["token"]
    assert not StoredAnswer.objects.exists()
    assert AccessToken.objects.filter(name="Pager").count() == 2


def test_anonymous_requests_are_never_stored(api):
    assert codes(api("anonymous").post("incidents", BODY, key="a")) == (401, "not_authenticated")
    assert not StoredAnswer.objects.exists()


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "a\tb", "schlüssel"])
def test_a_malformed_key_is_refused(api, key):
    refused = api("author").post("incidents", BODY, key=key)
    assert fields(refused) == {"Idempotency-Key"}
    assert not Incident.objects.exists()


def test_stored_responses_expire_after_a_day(api, settings):
    author = api("author")
    author.post("incidents", BODY, key="old")
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS, seconds=1))
    author.post("incidents", BODY, key="new")
    assert "Idempotency-Replayed" not in author.post("incidents", {**BODY, "title": "Other"}, key="old")
    StoredAnswer.objects.filter(key="old").update(created_at=timezone.now() - timedelta(days=2))
    assert idempotency.delete_old() == 1
    assert [answer.key for answer in StoredAnswer.objects.all()] == ["new"]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_do_the_work_once(cast):
    secret = caller(cast, "author").secret
    together = threading.Barrier(6)

    def send(number: int) -> Any:
        try:
            together.wait()
            return Caller(Client(), secret).post("incidents", BODY, key="a")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert Incident.objects.count() == 1
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}
    assert all(codes(answer) == (409, "idempotency_in_progress") for answer in answers if answer.status_code == 409)
    done = [answer.json() for answer in answers if answer.status_code == 201]
    assert all(body == done[0] for body in done)
    assert Caller(Client(), secret).post("incidents", BODY, key="a").json() == done[0]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_the_claim_commits_before_the_work_and_the_response_with_it(cast, monkeypatch):
    """Another connection sees, during the work, a claim but neither a response nor an incident."""
    author, seen = caller(cast, "author"), []

    def look() -> None:
        try:
            seen.append((list(StoredAnswer.objects.values_list("status", flat=True)), Incident.objects.count()))
        finally:
            connections.close_all()

    def create(**values: Any) -> Any:
        done = compose.create_with_content(**values)
        other = threading.Thread(target=look)
        other.start()
        other.join()
        return done

    monkeypatch.setattr(views, "create_with_content", create)
    assert author.post("incidents", BODY, key="a").status_code == 201
    assert seen == [([None], 0)]
    look()
    assert seen[-1] == ([201], 1)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_claim_that_was_taken_over_survives_the_failure_of_the_slow_request(cast, monkeypatch):
    author, taken = caller(cast, "author"), uuid.uuid4()

    def take_over() -> None:
        try:
            StoredAnswer.objects.update(lease=taken)
        finally:
            connections.close_all()

    def create(**values: Any) -> Any:
        done = compose.create_with_content(**values)
        other = threading.Thread(target=take_over)
        other.start()
        other.join()
        return done

    monkeypatch.setattr(views, "create_with_content", create)
    assert codes(author.post("incidents", BODY, key="a")) == (409, "idempotency_in_progress")
    assert not Incident.objects.exists()
    assert StoredAnswer.objects.get().lease == taken
