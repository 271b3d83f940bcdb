"""A real Elasticsearch for suites that are about it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.test import override_settings

from kb.search import engines
from kb.search.elastic.client import client


@contextmanager
def own_generations() -> Iterator[None]:
    """Elasticsearch switched on, under a prefix of one's own, which is gone afterwards."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with override_settings(
        ELASTICSEARCH_URL=os.environ["ELASTICSEARCH_URL"],
        ELASTICSEARCH_INDEX=prefix,
        OUTBOX_CONSUMERS=["database_index", "elasticsearch"],
    ):
        client.cache_clear()
        engines.breaker.cache_clear()
        try:
            yield
        finally:
            for name in client().indices.get(index=f"{prefix}-*", ignore_unavailable=True):
                client().indices.delete(index=name)
            client.cache_clear()
            engines.breaker.cache_clear()
