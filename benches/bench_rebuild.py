"""A rebuild, compared with bulk-writing prebuilt documents with the same mapping, client and bulk size.

The difference is the cost of reading the record, building the documents and comparing the indexes at the end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from elasticsearch import helpers

from benches.figures import Figure
from incidents.models import Incident
from kb.search import rebuild
from kb.search.document import build_many
from kb.search.elastic import generations, mapping
from kb.search.elastic.client import client
from kb.search.elastic.engine import source

# The number of distinct documents kept in memory; beyond it, they are repeated under other ids.
PREBUILT = 20_000
BATCH = 500


def run(rounds: int) -> list[Figure]:
    total = Incident.objects.count()
    documents = _prebuilt(min(total, PREBUILT))
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(total / _bulk_only(documents, total))
        began = time.monotonic()
        rebuild.rebuild()
        ours.append(total / (time.monotonic() - began))
        rebuild.retire()
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return [
        Figure("bare streaming_bulk", "documents/s", bare),
        Figure("rebuild", "documents/s", ours),
        Figure("rebuild / bare", "", ratios, least=0.7),
    ]


def _prebuilt(count: int) -> list[dict[str, Any]]:
    ids = list(Incident.objects.order_by("pk").values_list("pk", flat=True)[:count])
    found: list[dict[str, Any]] = []
    for start in range(0, count, BATCH):
        found += map(source, build_many(ids[start : start + BATCH]).values())
    return found


def _bulk_only(documents: list[dict[str, Any]], total: int) -> float:
    """The seconds it takes to write `total` documents into a temporary index."""
    index = f"bare-{generations.prefix()}"
    client().indices.create(index=index, **mapping.body())
    client().indices.put_settings(index=index, settings={"index": {"refresh_interval": "-1"}})

    def operations() -> Iterator[dict[str, Any]]:
        for number, document in zip(range(total), itertools.cycle(documents), strict=False):
            yield {"_index": index, "_id": str(number), "_source": document}

    began = time.monotonic()
    for _ in helpers.streaming_bulk(client().options(request_timeout=60), operations(), chunk_size=BATCH):
        pass
    lasted = time.monotonic() - began
    client().indices.delete(index=index)
    return lasted
