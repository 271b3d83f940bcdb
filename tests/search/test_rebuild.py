"""Generations: built while another one answers, compared, swapped, rolled back and retired, on a real Elasticsearch."""

from __future__ import annotations

import re
import threading
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from incidents import outbox
from incidents.actions.incidents import change_incident, delete_incident
from incidents.models import AuditEntry, Incident, OutboxEntry
from kb.search import engines, rebuild, relay
from kb.search.document import build_many
from kb.search.elastic import engine, generations, lineage, mapping
from kb.search.elastic.client import client
from kb.search.elastic.engine import PURGED_VERSION, ElasticEngine, source_and_version, versions_in, write
from kb.search.engine import Unavailable
from kb.search.locks import try_lock
from kb.search.service import SearchRequest, search
from tests.search.elastic import own_generations

pytestmark = pytest.mark.postgres_only


@pytest.fixture
def elastic():
    with own_generations():
        yield


def refresh():
    client().indices.refresh(index=generations.read_alias())


def poison(monkeypatch, incident_id):
    """Make Elasticsearch refuse the document of one incident."""
    source = engine.source

    def with_surprise(document):
        return {**source(document), **({"surprise": 1} if document.incident_id == incident_id else {})}

    monkeypatch.setattr(engine, "source", with_surprise)


def documents_in_status():
    """The number of documents that `search_index status` prints for each generation."""
    out = StringIO()
    call_command("search_index", "status", stdout=out)
    generation = re.compile(rf"{generations.prefix()}-\d+ .*│ +(\S+) +│$")
    return [found[1] for line in out.getvalue().splitlines() if (found := generation.search(line))]


def total(viewer, q=""):
    refresh()
    page = search(viewer, SearchRequest(q=q))
    assert (page.engine, page.degraded) == ("elasticsearch", False)
    return page.total


def test_the_relay_makes_the_first_generation_and_fills_it(elastic, cast, published):
    published("Cats", visibility="public")
    relay.drain()
    assert total(cast.viewer("anonymous"), "cats") == 1
    assert [(g.number, g.reads, g.writes, g.is_current) for g in generations.generations()] == [(1, True, True, True)]


def test_a_rebuild_switches_readers_in_one_step_and_can_be_rolled_back(elastic, cast, published):
    published("Cats", visibility="public")
    relay.drain()
    rebuild.rebuild()
    assert [(g.number, g.reads, g.writes) for g in generations.generations()] == [
        (1, False, True),
        (2, True, True),
    ]
    published("Dogs", visibility="public")
    relay.drain()
    assert rebuild.rollback().number == 1
    assert total(cast.viewer("anonymous")) == 2
    rebuild.promote(generations.generations()[-1])
    assert [g.number for g in rebuild.retire()] == [1]
    assert total(cast.viewer("anonymous")) == 2
    with pytest.raises(LookupError):
        rebuild.rollback()


def test_the_gate_stays_closed_while_the_generation_differs(elastic, published, monkeypatch):
    published("Cats")
    relay.drain()
    generation = generations.create()
    monkeypatch.setattr(rebuild, "GATE_ROUNDS", 2)
    monkeypatch.setattr(rebuild, "write", lambda *args, **kwargs: {})
    with pytest.raises(rebuild.GateClosed, match="INC-"):
        rebuild.promote(generation)
    assert [g.reads for g in generations.generations()] == [True, False]


def test_tombstones_do_not_survive_a_rebuild(elastic, cast, published):
    incident = published("Cats", visibility="public")
    relay.drain()
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    relay.drain()
    refresh()
    tombstones = {"bool": {"filter": [{"term": {"deleted": True}}, {"exists": {"field": "incident_id"}}]}}
    assert client().count(index=generations.read_alias(), query=tombstones)["count"] == 1
    assert total(cast.viewer("admin")) == 0
    rebuild.rebuild()
    refresh()
    assert client().count(index=generations.read_alias(), query=tombstones)["count"] == 0


def test_a_narrowed_incident_is_out_of_the_index_before_its_exclusion_ends(elastic, cast, published):
    """Otherwise totals and facets would reveal it until the next refresh of Elasticsearch."""
    incident = published("Cats", visibility="public")
    relay.drain()
    assert total(cast.viewer("anonymous"), "cats") == 1
    client().indices.put_settings(index=generations.read_alias(), settings={"refresh_interval": "1h"})
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    relay.drain()
    assert not outbox.narrowing_ids("elasticsearch")
    page = search(cast.viewer("anonymous"), SearchRequest(q="cats"))
    assert (page.engine, page.total) == ("elasticsearch", 0)


# --- A generation that is missing, unfinished, or of another record ----------------------------------
def test_elasticsearch_that_lost_its_data_answers_nothing_until_everything_is_indexed_again(elastic, cast, published):
    for n in range(3):
        published(f"Cats {n}", visibility="public")
    relay.drain()
    generations.delete(generations.generations()[0])
    page = search(cast.viewer("anonymous"), SearchRequest(q="cats"))
    assert (page.degraded, page.total) == (True, 3)
    published("Cats again", visibility="public")
    with pytest.raises(Unavailable, match="no generation"):
        ElasticEngine().index([])
    relay.drain()
    engines.breaker().succeeded()
    assert total(cast.viewer("anonymous"), "cats") == 4


def test_a_write_to_a_deleted_generation_creates_no_index(elastic, published):
    incident = published("Cats")
    relay.drain()
    gone = generations.generations()[0]
    generations.delete(gone)
    with pytest.raises(Unavailable):
        write(source_and_version(build_many([incident.pk]).values()), [gone.name])
    assert generations.generations() == []


def test_after_a_restore_an_index_newer_than_the_backup_answers_no_search(elastic, cast, published):
    incident = published("Cats", visibility="team")
    relay.drain()
    with transaction.atomic():
        change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "public"})
        published("Dogs", visibility="public")
        relay.drain()
        assert total(cast.viewer("anonymous")) == 2
        transaction.set_rollback(True)
    page = search(cast.viewer("anonymous"), SearchRequest())
    assert (page.degraded, page.total) == (True, 0)
    relay.drain()
    engines.breaker().succeeded()
    assert total(cast.viewer("anonymous")) == 0
    assert total(cast.viewer("author")) == 1
    assert [(g.number, g.reads) for g in generations.generations()] == [(1, True)]
    assert ElasticEngine().versions() == dict(Incident.objects.values_list("pk", "index_version"))


def test_an_interrupted_rebuild_is_thrown_away_by_the_next_one(elastic, published):
    published("Cats")
    relay.drain()
    generations.create()
    assert rebuild.rebuild().number == 2
    assert [(g.number, g.reads, g.writes) for g in generations.generations()] == [(1, False, True), (2, True, True)]


def test_only_one_rebuild_runs_at_a_time(elastic, published):
    published("Cats")
    relay.drain()
    tried = threading.Event()

    def hold():
        with try_lock("search-rebuild") as is_held:
            assert is_held
            holding.set()
            tried.wait(10)
        connection.close()

    holding = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(10)
    try:
        with pytest.raises(rebuild.RebuildInProgress):
            rebuild.rebuild()
    finally:
        tried.set()
        holder.join()
    assert rebuild.rebuild().number == 2


def test_the_gate_ignores_differences_that_the_outbox_will_resolve(elastic, cast, published):
    incident = published("Cats", visibility="public")
    relay.drain()
    generation = generations.create()
    rebuild.fill(generation)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    rebuild.promote(generation)
    assert search(cast.viewer("anonymous"), SearchRequest(q="cats")).total == 0
    relay.drain()
    assert total(cast.viewer("anonymous"), "cats") == 0


def test_a_document_that_elasticsearch_refuses_is_reported_and_blocks_no_other(elastic, cast, published, monkeypatch):
    good, bad = published("Cats", visibility="public"), published("Dogs", visibility="public")
    relay.drain()
    poison(monkeypatch, bad.pk)
    assert rebuild.rebuild().number == 2
    assert ElasticEngine().versions() == {good.pk: good.index_version}
    assert total(cast.viewer("anonymous")) == 1
    for _ in range(settings.OUTBOX_TRIES):
        relay.drain()
        OutboxEntry.objects.update(not_before=None)
    out = StringIO()
    call_command("search_index", "status", stdout=out)
    assert bad.ref in out.getvalue()
    assert "strict_dynamic_mapping_exception" in out.getvalue()
    monkeypatch.undo()
    outbox.retry_parked()
    relay.drain()
    assert total(cast.viewer("anonymous")) == 2


def test_a_refused_document_does_not_keep_the_first_generation_from_answering(elastic, cast, published, monkeypatch):
    published("Cats", visibility="public")
    poison(monkeypatch, published("Dogs", visibility="public").pk)
    relay.drain()
    assert total(cast.viewer("anonymous")) == 1


def test_after_a_closed_gate_the_next_try_waits(elastic, cast, published, monkeypatch):
    published("Cats", visibility="public")
    monkeypatch.setattr(rebuild, "GATE_ROUNDS", 1)
    filled = []
    monkeypatch.setattr(rebuild, "send", lambda *args, **kwargs: filled.append(args) or {})
    OutboxEntry.objects.all().delete()
    relay.drain()
    relay.drain()
    assert len(filled) == 1
    assert [(g.number, g.reads) for g in generations.generations()] == [(1, False)]
    monkeypatch.undo()
    rebuild.rebuild()
    assert total(cast.viewer("anonymous")) == 1


def test_a_generation_that_cannot_be_marked_is_rebuilt_and_no_incident_is_blamed(elastic, cast, published):
    incident = published("Cats", visibility="public")
    unmarked = mapping.body()
    del unmarked["mappings"]["properties"]["mark"]
    unmarked["mappings"]["_meta"] = {"fingerprint": "of an earlier version"}
    name = f"{generations.prefix()}-000001"
    aliases = {
        alias: {} for alias in (generations.read_alias(), generations.write_alias(), generations.own_write_alias(name))
    }
    client().indices.create(index=name, **unmarked, aliases=aliases)
    with pytest.raises(Unavailable, match="search_index rebuild"):
        ElasticEngine().index(list(build_many([incident.pk]).values()))
    assert not lineage.is_ours(generations.read_alias())
    relay.drain()
    assert total(cast.viewer("anonymous")) == 1
    assert not OutboxEntry.objects.exists()


# --- Switched off for a while ------------------------------------------------------------------------
def test_elasticsearch_that_was_switched_off_answers_only_after_it_was_compared(elastic, cast, published, settings):
    narrowed, gone = published("Cats", visibility="public"), published("Dogs", visibility="public")
    relay.drain()
    assert total(cast.viewer("anonymous")) == 2
    url, consumers = settings.ELASTICSEARCH_URL, settings.OUTBOX_CONSUMERS
    settings.ELASTICSEARCH_URL, settings.OUTBOX_CONSUMERS = "", ["database_index"]
    change_incident(actor=cast.viewer("author"), incident_id=narrowed.pk, facts={"visibility": "team"})
    delete_incident(actor=cast.viewer("lead"), incident_id=gone.pk)
    relay.drain()
    settings.ELASTICSEARCH_URL, settings.OUTBOX_CONSUMERS = url, consumers
    page = search(cast.viewer("anonymous"), SearchRequest())
    assert (page.engine, page.degraded, page.total) == ("postgresql", True, 0)
    relay.drain()
    assert total(cast.viewer("anonymous")) == 0
    assert total(cast.viewer("author")) == 1


def test_incidents_that_the_audit_reports_are_hidden_until_they_are_repaired(elastic, cast, published):
    incident = published("Cats", visibility="public")
    relay.drain()
    Incident.objects.filter(pk=incident.pk).update(visibility="team", index_version=incident.index_version + 1)
    relay.audit()
    assert total(cast.viewer("anonymous")) == 0
    relay.drain()
    assert total(cast.viewer("anonymous")) == 0
    assert total(cast.viewer("author")) == 1


def test_a_mark_that_is_not_in_the_record_is_recognized(elastic, published):
    published("Cats")
    relay.drain()
    assert lineage.is_ours(generations.read_alias())
    AuditEntry.objects.filter(pk=lineage.latest().entry).update(at=timezone.now())
    assert not lineage.is_ours(generations.read_alias())
    with pytest.raises(LookupError):
        lineage.is_ours("nowhere")


def test_a_stale_worker_cannot_overwrite_a_newer_commit(elastic, cast, published):
    incident = published("Old title", visibility="public")
    stale = build_many([incident.pk])[incident.pk]
    relay.drain()
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    relay.drain()
    ElasticEngine().index([stale])
    assert total(cast.viewer("anonymous")) == 0


def test_a_purged_incident_never_comes_back(elastic, published):
    incident = published("Cats", visibility="public")
    document = build_many([incident.pk])[incident.pk]
    relay.drain()
    Incident.objects.filter(pk=incident.pk).update(published_revision=None)
    Incident.objects.filter(pk=incident.pk).delete()
    ElasticEngine().remove({incident.pk: 0})
    ElasticEngine().index([document])
    refresh()
    assert incident.pk not in ElasticEngine().versions()
    assert client().get(index=generations.read_alias(), id=str(incident.pk))["_version"] == PURGED_VERSION


def test_a_document_with_an_unknown_field_is_refused_and_retried(elastic, published, monkeypatch):
    incident = published("Cats")
    poison(monkeypatch, incident.pk)
    relay.drain()
    waiting = {depth.consumer: depth for depth in outbox.depths()}
    assert waiting["elasticsearch"].retrying >= 1
    assert waiting["database_index"].waiting == 0
    assert incident.pk not in ElasticEngine().versions()


def test_a_generation_with_another_mapping_is_not_current(elastic, published, monkeypatch):
    published("Cats")
    relay.drain()
    assert generations.generations()[0].is_current
    monkeypatch.setattr(mapping, "fingerprint", lambda: "another")
    assert not generations.generations()[0].is_current


@pytest.mark.parametrize("begun", [True, False])
def test_a_generation_that_was_analyzed_differently_answers_no_search_and_is_rebuilt_at_once(
    elastic, cast, published, monkeypatch, begun
):
    if begun:
        published("Cats", visibility="public")
    relay.drain()
    monkeypatch.setattr(mapping, "fingerprint", lambda: "another")
    page = search(cast.viewer("anonymous"), SearchRequest(q="cats"))
    assert (page.engine, page.degraded, page.total) == (connection.vendor, True, int(begun))
    published("Dogs", visibility="public")
    relay.drain()
    (generation,) = generations.generations()
    assert (generation.fingerprint, generation.reads) == ("another", True)
    assert not OutboxEntry.objects.exists()
    page = search(cast.viewer("anonymous"), SearchRequest(q="dogs"))
    assert (page.engine, page.degraded, page.total) == ("elasticsearch", False, 1)


def test_every_step_of_the_command_works_and_prints_something(elastic, published):
    published("Cats")
    relay.drain()
    for step in ("status", "rebuild", "status", "audit", "rollback", "promote", "retire"):
        out = StringIO()
        call_command("search_index", step, stdout=out)
        assert out.getvalue().strip(), step
    assert "precedent" not in out.getvalue()
    with pytest.raises(CommandError, match="no earlier generation to roll back to"):
        call_command("search_index", "rollback")


def test_the_status_counts_incidents_and_nothing_else(elastic, cast, published):
    """Neither the mark, nor the tombstone of a deleted incident."""
    published("Cats")
    gone = published("Dogs")
    relay.drain()
    delete_incident(actor=cast.viewer("lead"), incident_id=gone.pk)
    relay.drain()
    assert documents_in_status() == ["1"]


def test_the_status_shows_how_far_a_rebuild_is(elastic, published):
    written = published("Cats")
    published("Dogs")
    relay.drain()
    generation = generations.create()
    with rebuild._without_refresh(generation):
        write(source_and_version(build_many([written.pk]).values()), [generation.name])
        assert documents_in_status() == ["2", "1"]


def test_a_generation_that_cannot_be_reached_is_not_counted_as_empty(elastic, published):
    published("Cats")
    relay.drain()
    (generation,) = generations.generations()
    with override_settings(ELASTICSEARCH_URL="http://127.0.0.1:1"):
        client.cache_clear()
        assert generations.count_documents(generation) is None
    client.cache_clear()


def test_without_elasticsearch_the_command_says_so(cast, settings):
    settings.ELASTICSEARCH_URL = ""
    with pytest.raises(CommandError, match="ELASTICSEARCH_URL is not set"):
        call_command("search_index", "rebuild")


@pytest.mark.django_db(transaction=True)
def test_workers_that_start_at_once_create_a_single_first_generation(elastic, cast, published):
    published("Cats", visibility="public")
    together = threading.Barrier(3)
    ended = []

    def start():
        together.wait(10)
        try:
            ended.append(relay.drain())
        finally:
            connection.close()

    workers = [threading.Thread(target=start) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ended) == len(workers)
    # Workers that came before the generation was ready have postponed their entries.
    OutboxEntry.objects.update(not_before=None)
    relay.drain()
    assert [(g.number, g.reads, g.writes) for g in generations.generations()] == [(1, True, True)]
    assert total(cast.viewer("anonymous")) == 1


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_while_people_write_loses_nothing(elastic, cast, published):
    incidents = [published(f"Incident {n}", visibility="public") for n in range(12)]
    relay.drain()
    stop = threading.Event()
    author, lead = cast.viewer("author"), cast.viewer("lead")

    def keep_writing():
        n = 0
        while not stop.is_set():
            n += 1
            target = incidents[n % 10]
            change_incident(
                actor=author, incident_id=target.pk, facts={"visibility": "internal" if n % 2 else "public"}
            )
            relay.drain()
        connection.close()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        delete_incident(actor=lead, incident_id=incidents[11].pk)
        generation = rebuild.rebuild()
    finally:
        stop.set()
        writer.join()
    relay.drain()
    refresh()
    expected = dict(Incident.objects.filter(deleted_at=None).values_list("pk", "index_version"))
    assert versions_in(generation.name) == expected
    assert generations.generations()[-1].reads
