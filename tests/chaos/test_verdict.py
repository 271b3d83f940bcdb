"""The final comparison of the campaign must notice every kind of error in either index."""

from __future__ import annotations

import pytest

from chaos.verdict import differences, verdict
from incidents.actions.incidents import delete_incident
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns import tagging, vocabulary
from kb.search import relay
from kb.search.database.engine import DatabaseEngine
from kb.search.elastic import generations
from kb.search.elastic.client import client
from kb.search.models import SearchDocument
from tests.patterns.conftest import STORM
from tests.search.elastic import own_generations

pytestmark = pytest.mark.postgres_only


@pytest.fixture
def indexed(cast, published):
    """Two incidents on which the record and both indexes agree."""
    with own_generations():
        found = [published("Cats", visibility="public"), published("Dogs", visibility="public")]
        relay.drain()
        yield found


def expected():
    return {incident.title: incident.pk for incident in Incident.objects.filter(deleted_at=None)}


def test_indexes_that_equal_the_record_pass(indexed):
    found = verdict(expected())
    assert (found.lost, found.stale) == ([], [])


def test_an_incident_that_an_index_lacks_is_lost(indexed):
    DatabaseEngine().remove({indexed[0].pk: 1})
    client().delete(index=generations.read_alias(), id=str(indexed[1].pk))
    found = verdict(expected())
    assert len(found.lost) == 2
    assert found.stale == []


def test_a_write_that_the_record_lacks_is_lost(indexed):
    assert verdict({**expected(), "Cows": 10**6}).lost == ["Cows: INC-1000000 is not in the record"]


def test_an_older_version_is_stale(indexed):
    SearchDocument.objects.filter(pk=indexed[0].pk).update(index_version=1)
    assert verdict(expected()).stale == [f"database: INC-{indexed[0].pk} differs (index)"]


def test_different_content_at_the_same_version_is_stale(indexed):
    row = SearchDocument.objects.get(pk=indexed[0].pk)
    row.shown["title"] = "Cows"
    row.save()
    script = {"source": "ctx._source.shown.title = 'Cows'"}
    client().update(index=generations.read_alias(), id=str(indexed[1].pk), script=script)
    assert len(verdict(expected()).stale) == 2


def test_a_deleted_incident_that_can_still_be_found_is_stale(indexed, cast):
    delete_incident(actor=cast.viewer("lead"), incident_id=indexed[0].pk)
    assert set(differences()) == {"elasticsearch", "database", "outbox"}
    assert len(verdict(expected()).stale) >= 2


def test_tags_that_differ_from_what_the_rules_say_are_stale(indexed, published):
    vocabulary.load(actor=Viewer.system())
    storm = published("Gateway was slow", text=STORM)
    relay.drain()
    assert verdict(expected()).stale == [f"tags: INC-{storm.pk} differs from the rules in retry-storm"]
    tagging.tag_incidents([storm.pk])
    relay.drain()
    assert verdict(expected()).stale == []
