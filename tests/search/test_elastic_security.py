"""An Elasticsearch with security switched on: TLS with a private certificate authority, and a password or an API key.

The suite starts and stops a node of its own, because the one that the other tests use is open.
"""

from __future__ import annotations

import pytest

from chaos.services import temporary
from incidents import outbox
from incidents.models import Incident
from kb.search import engines, relay
from kb.search.elastic.client import client
from kb.search.service import SearchRequest, search

pytestmark = [pytest.mark.postgres_only, pytest.mark.slow]


@pytest.fixture(scope="module")
def node():
    with temporary("secured", password="correct horse: battery/staple") as services:
        services.up("elasticsearch")
        yield services


@pytest.fixture
def connected(node, settings):
    """A function that configures the node. Keyword arguments replace the correct settings."""

    def connect(**others: str) -> None:
        settings.ELASTICSEARCH_URL = node.elasticsearch_url
        settings.ELASTICSEARCH_CA = str(node.elasticsearch_authority)
        settings.ELASTICSEARCH_API_KEY = ""
        for name, value in others.items():
            setattr(settings, name, value)
        settings.ELASTICSEARCH_INDEX = "secured"
        settings.OUTBOX_CONSUMERS = ["database_index", "elasticsearch"]
        client.cache_clear()
        engines.breaker.cache_clear()

    yield connect
    connect()
    for name in client().indices.get(index="secured-*", ignore_unavailable=True):
        client().indices.delete(index=name)
    client.cache_clear()
    engines.breaker.cache_clear()


@pytest.fixture
def answer(cast, published):
    """A function that publishes an incident, delivers it to the engines and searches for it. Returns the engine that
    answered, whether it was only the fallback, and how many incidents it found."""

    def ask() -> tuple[str, bool, int]:
        published("Cats", visibility="public")
        relay.drain()
        page = search(cast.viewer("anonymous"), SearchRequest(q="cats"))
        return page.engine, page.degraded, page.total

    return ask


BY_ELASTICSEARCH = ("elasticsearch", False, 1)
BY_THE_DATABASE = ("postgresql", True, 1)


def without_password(node) -> str:
    return f"https://127.0.0.1:{node.ports['elasticsearch']}"


def test_user_and_password_in_the_address_are_enough(connected, answer):
    connected()
    assert answer() == BY_ELASTICSEARCH


def test_an_api_key_with_the_documented_rights_is_enough(connected, answer, node):
    connected()
    # As in docs/configuration.md.
    rights = {
        "precedent": {"cluster": ["monitor"], "indices": [{"names": ["secured-*"], "privileges": ["all"]}]},
    }
    key = client().security.create_api_key(name="precedent", role_descriptors=rights)["encoded"]
    connected(ELASTICSEARCH_URL=without_password(node), ELASTICSEARCH_API_KEY=key)
    assert answer() == BY_ELASTICSEARCH


@pytest.mark.parametrize("given", ["no password", "a wrong password", "a wrong key", "no authority"])
def test_without_the_right_credentials_the_database_answers_and_nothing_is_lost(connected, answer, node, given):
    wrong = {
        "no password": {"ELASTICSEARCH_URL": without_password(node)},
        "a wrong password": {"ELASTICSEARCH_URL": node.elasticsearch_url.replace("horse", "cow")},
        "a wrong key": {"ELASTICSEARCH_URL": without_password(node), "ELASTICSEARCH_API_KEY": "bm86bm8="},
        "no authority": {"ELASTICSEARCH_CA": ""},
    }[given]
    connected(**wrong)
    assert answer() == BY_THE_DATABASE
    assert outbox.waiting_ids("elasticsearch") == set(Incident.objects.values_list("pk", flat=True))
    assert not any(depth.parked or depth.retrying for depth in outbox.depths())
