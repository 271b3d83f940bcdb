"""A real Elasticsearch for the suites that test against one."""

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
    """Elasticsearch switched on, with an index prefix of its own, whose indices are deleted afterwards."""
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
