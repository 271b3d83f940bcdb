"""The relay: what it plans, and that it loses nothing and shows nothing hidden."""

from __future__ import annotations

import itertools
import socket
import time
from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone
from kombu import Connection
from kombu.exceptions import OperationalError

from incidents import outbox, outbox_consumer
from incidents.actions.incidents import change_incident, delete_incident
from incidents.actions.lifecycle import publish, reopen, submit, withdraw
from incidents.actions.organizations import change_organization
from incidents.actions.sections import change_section
from incidents.models import Incident, OutboxEntry
from kb.search import relay
from kb.search.database.engine import DatabaseEngine
from kb.search.document import build_many
from kb.search.engine import Unavailable
from kb.search.engines import Consumer
from kb.search.models import SearchDocument
from kb.search.relay import Outcome, State, plan
from kb.search.service import SearchRequest, search

CONSUMER = "database_index"


def titles(viewer, q=""):
    return sorted(result.title for result in search(viewer, SearchRequest(q=q)).results)


# --- The plan ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "indexed", "outcome"),
    [
        (State(None), None, Outcome.NOTHING),
        (State(None), 3, Outcome.REMOVE),
        (State(5, is_deleted=True), None, Outcome.NOTHING),
        (State(5, is_deleted=True), 4, Outcome.REMOVE),
        (State(5, is_deleted=True), 5, Outcome.REMOVE),
        (State(5), None, Outcome.INDEX),
        (State(5), 4, Outcome.INDEX),
        (State(5), 5, Outcome.NOTHING),
        (State(5), 6, Outcome.AHEAD),
    ],
)
def test_the_plan_names_what_to_do(state, indexed, outcome):
    assert plan(state, indexed) is outcome


def test_the_plan_has_an_answer_for_every_combination():
    states = [State(version, gone) for version in (None, 1, 2, 3) for gone in (False, True)]
    assert all(isinstance(plan(s, v), Outcome) for s, v in itertools.product(states, (None, 1, 2, 3)))


# --- The outbox --------------------------------------------------------------------------------------
def test_every_write_leaves_one_entry_per_consumer(draft, settings):
    settings.OUTBOX_CONSUMERS = ["database_index", "elasticsearch"]
    incident = draft()
    assert sorted(OutboxEntry.objects.filter(incident_id=incident.pk).values_list("consumer", flat=True)) == [
        "database_index",
        "elasticsearch",
    ]


def test_entries_of_one_incident_are_handled_once(cast, draft):
    incident = draft()
    for n in range(5):
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=f"Text {n}")
    assert OutboxEntry.objects.filter(incident_id=incident.pk).count() == 6
    claim = outbox.claim(CONSUMER)
    assert list(claim.entries) == [incident.pk]
    assert len(claim.entries[incident.pk]) == 6


def test_two_workers_never_hold_the_same_entry(draft):
    draft()
    first, second = outbox.claim(CONSUMER), outbox.claim(CONSUMER)
    assert first
    assert not second


def test_an_expired_lease_is_claimed_again_and_its_former_holder_deletes_nothing(draft):
    incident = draft()
    late = outbox.claim(CONSUMER)
    OutboxEntry.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    present = outbox.claim(CONSUMER)
    assert list(present.entries) == [incident.pk]
    outbox.complete(late, late.entries)
    assert OutboxEntry.objects.filter(lease=present.lease).exists()


def test_a_change_while_the_relay_works_is_not_lost(cast, draft):
    incident = draft()
    claim = outbox.claim(CONSUMER)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"title": "Changed meanwhile"})
    outbox.complete(claim, claim.entries)
    assert OutboxEntry.objects.filter(incident_id=incident.pk).count() == 1
    relay.drain()
    assert titles(cast.viewer("author")) == ["Changed meanwhile"]


def test_an_unreachable_engine_uses_up_no_try_and_loses_nothing(draft):
    class Away(DatabaseEngine):
        def index(self, documents):
            raise Unavailable("not now")

    draft()
    assert relay.run_once(Consumer(CONSUMER, Away())) == 0
    entry = OutboxEntry.objects.get()
    assert (entry.tries, entry.lease, entry.parked_at) == (0, None, None)
    assert entry.not_before > timezone.now()


def test_an_incident_that_is_refused_repeatedly_is_parked_and_blocks_no_other(cast, draft, settings):
    bad, good = draft("Bad"), draft("Good")

    class Picky(DatabaseEngine):
        def index(self, documents):
            super().index([d for d in documents if d.incident_id != bad.pk])
            return {bad.pk: "not to my taste"} if any(d.incident_id == bad.pk for d in documents) else {}

    for _ in range(settings.OUTBOX_TRIES):
        relay.run_once(Consumer(CONSUMER, Picky()))
        OutboxEntry.objects.update(not_before=None)
    entry = OutboxEntry.objects.get()
    assert entry.incident_id == bad.pk
    assert entry.parked_at is not None
    assert entry.last_error == "not to my taste"
    assert titles(cast.viewer("author")) == ["Good"]
    assert outbox.depths()[0].parked == 1
    assert good.pk in DatabaseEngine().versions()
    assert outbox.retry_parked() == 1
    assert not outbox.depths()[0].paused, "refused, but not unreachable"
    relay.drain()
    assert titles(cast.viewer("author")) == ["Bad", "Good"]


def test_a_parked_narrowing_ends_when_a_later_state_is_delivered(cast, published, settings):
    """Otherwise the incident would stay excluded from searches when the reason is gone."""
    incident = published("Back again", visibility="public")
    relay.drain()

    class Refusing(DatabaseEngine):
        def index(self, documents):
            return dict.fromkeys((document.incident_id for document in documents), "not to my taste")

    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    for _ in range(settings.OUTBOX_TRIES):
        relay.run_once(Consumer(CONSUMER, Refusing()))
        OutboxEntry.objects.update(not_before=None)
    assert OutboxEntry.objects.get().parked_at
    assert titles(cast.viewer("author")) == []
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "public"})
    relay.drain()
    assert not OutboxEntry.objects.exists()
    assert titles(cast.viewer("anonymous")) == ["Back again"]


def test_parked_entries_of_other_incidents_or_consumers_and_later_ones_stay(draft, settings):
    settings.OUTBOX_CONSUMERS = [CONSUMER, "elasticsearch"]
    one, other = draft("One"), draft("Other")
    OutboxEntry.objects.filter(consumer="elasticsearch").update(parked_at=timezone.now())
    OutboxEntry.objects.filter(incident_id=other.pk).update(parked_at=timezone.now())
    earlier = OutboxEntry.objects.create(consumer=CONSUMER, incident_id=one.pk, parked_at=timezone.now())
    claim = outbox.claim(CONSUMER)
    OutboxEntry.objects.create(consumer=CONSUMER, incident_id=one.pk, parked_at=timezone.now())
    before = set(OutboxEntry.objects.values_list("pk", flat=True))
    outbox.complete(claim, claim.entries)
    left = set(OutboxEntry.objects.values_list("pk", flat=True))
    assert before - left == {*claim.entries[one.pk], earlier.pk}


def test_the_former_holder_of_a_lease_neither_counts_a_try_nor_parks_the_entry(draft, settings):
    settings.OUTBOX_TRIES = 1
    incident = draft()
    late = outbox.claim(CONSUMER)
    OutboxEntry.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    present = outbox.claim(CONSUMER)
    assert not outbox.reject(late, incident.pk, "refused by the late one")
    outbox.release(late, wait=timedelta(hours=1))
    assert not outbox.renew(late)
    entry = OutboxEntry.objects.get()
    assert (entry.lease, entry.tries, entry.parked_at, entry.not_before) == (present.lease, 0, None, None)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_work_that_takes_longer_than_a_lease_is_started_once(cast, draft, settings):
    """Otherwise it would be started again and again, and never finish: each worker would lose its lease to the next."""
    draft()
    settings.OUTBOX_LEASE = timedelta(seconds=0.3)
    begun = []

    def take_long(ids):
        begun.append(ids)
        limit = time.monotonic() + 4 * settings.OUTBOX_LEASE.total_seconds()
        while time.monotonic() < limit:
            assert not outbox.claim(CONSUMER)
            time.sleep(0.02)
        return {}

    assert outbox_consumer.run_once(CONSUMER, take_long) == 1
    assert len(begun) == 1
    assert not OutboxEntry.objects.exists()


def test_an_incident_that_cannot_be_built_does_not_hold_up_its_batch(cast, draft, monkeypatch):
    bad, _ = draft("Bad"), draft("Good")
    build = relay.build_many

    def stumble(ids):
        if bad.pk in ids:
            raise ValueError("cannot be built")
        return build(ids)

    monkeypatch.setattr(relay, "build_many", stumble)
    relay.run_once(relay.consumers()[0])
    assert titles(cast.viewer("author")) == ["Good"]
    assert OutboxEntry.objects.get().tries == 1


# --- What viewers see --------------------------------------------------------------------------------
def test_narrowed_access_takes_effect_at_once_while_the_relay_is_stopped(cast, published):
    incident = published("Shared with the world", visibility="public")
    relay.drain()
    assert titles(cast.viewer("anonymous")) == ["Shared with the world"]
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    page = search(cast.viewer("anonymous"), SearchRequest(q="shared"))
    assert page.total == 0
    assert all(not values for values in page.facets.values())
    assert search(cast.viewer("outsider"), SearchRequest(q="shared")).total == 0


def test_published_text_stays_searchable_at_every_step_toward_the_next_revision(cast, published):
    incident = published("Shared with the world", visibility="public")
    relay.drain()
    author, step = cast.viewer("author"), {"incident_id": incident.pk}
    for act in (
        lambda: reopen(actor=author, **step),
        lambda: submit(actor=author, reviewers=["reviewer@acme.example"], **step),
        lambda: withdraw(actor=author, **step),
    ):
        act()
        assert titles(cast.viewer("anonymous")) == ["Shared with the world"]


def test_a_former_reviewer_cannot_find_an_incident_that_only_its_team_can_read(cast, published):
    incident = published("Ours alone", visibility="team")
    author, step = cast.viewer("author"), {"incident_id": incident.pk}
    reopen(actor=author, **step)
    submit(actor=author, reviewers=["reviewer@acme.example"], **step)
    relay.drain()
    assert titles(cast.viewer("reviewer")) == ["Ours alone"]
    withdraw(actor=author, **step)
    page = search(cast.viewer("reviewer"), SearchRequest(q="ours"))
    assert (page.total, page.facets["status"]) == (0, [])


def test_a_deleted_incident_is_gone_at_once(cast, published):
    incident = published("To be deleted", visibility="public")
    relay.drain()
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert search(cast.viewer("admin"), SearchRequest(q="deleted")).total == 0
    relay.drain()
    assert not SearchDocument.objects.exists()


def test_a_stale_worker_cannot_bring_back_what_was_deleted(cast, published):
    incident = published("To be deleted", visibility="public")
    stale = build_many([incident.pk])[incident.pk]
    relay.drain()
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    relay.drain()
    DatabaseEngine().index([stale])
    assert DatabaseEngine().versions() == {}


def test_text_that_a_new_revision_dropped_cannot_be_found_while_the_relay_is_stopped(cast, published):
    incident = published("A leak", text="The secret word is xyzzy.", visibility="public")
    relay.drain()
    assert search(cast.viewer("anonymous"), SearchRequest(q="xyzzy")).total == 1
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    relay.drain()
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="There was a secret word.")
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert search(cast.viewer("anonymous"), SearchRequest(q="xyzzy")).total == 0
    relay.drain()
    assert search(cast.viewer("anonymous"), SearchRequest(q="secret word")).total == 1


def test_a_reopened_draft_is_searched_by_its_published_text(cast, published):
    incident = published("Once", text="Published words.", visibility="public")
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Unfinished thoughts.")
    relay.drain()
    for name in ("anonymous", "outsider", "author"):
        assert search(cast.viewer(name), SearchRequest(q="unfinished")).total == 0
        assert search(cast.viewer(name), SearchRequest(q="published words")).total == 1


def test_renaming_an_organization_reaches_all_its_incidents(cast, published):
    published("One", visibility="public")
    published("Two", visibility="public")
    relay.drain()
    change_organization(actor=cast.viewer("admin"), organization_id=cast.home.pk, values={"name": "Zenith"})
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(q="org:zenith"))
    assert [(value.value, value.count) for value in page.facets["organization"]] == [("Zenith", 2)]
    assert {result.organization for result in page.results} == {"Zenith"}


# --- The audit ---------------------------------------------------------------------------------------
def test_the_audit_repairs_missing_stale_and_superfluous_documents(cast, published):
    kept, missing, stale = published("Kept"), published("Missing"), published("Stale")
    relay.drain()
    assert relay.audit().by_consumer == {CONSUMER: {}}
    DatabaseEngine().remove({missing.pk: 1})
    SearchDocument.objects.filter(pk=stale.pk).update(index_version=1)
    Incident.objects.filter(pk=kept.pk).update(deleted_at=timezone.now())
    assert relay.audit().by_consumer == {
        CONSUMER: {missing.pk: Outcome.INDEX, stale.pk: Outcome.INDEX, kept.pk: Outcome.REMOVE}
    }
    relay.drain()
    assert relay.audit().by_consumer == {CONSUMER: {}}
    assert titles(cast.viewer("author")) == ["Missing", "Stale"]


def test_an_index_that_is_ahead_of_the_record_is_reported(published):
    incident = published()
    relay.drain()
    SearchDocument.objects.filter(pk=incident.pk).update(index_version=10**6)
    assert relay.audit().consumers_ahead == [CONSUMER]


@pytest.mark.postgres_only
def test_a_write_does_not_wait_for_an_unreachable_broker(settings):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    away = Connection(f"redis://127.0.0.1:{port}/0", transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    began = time.monotonic()
    with away, current_app.amqp.Producer(away) as producer, pytest.raises(OperationalError):
        current_app.send_task(settings.OUTBOX_NUDGE, producer=producer, retry=False)
    assert time.monotonic() - began < 1
