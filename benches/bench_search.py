"""Search through the API, compared with sending the same request body straight to Elasticsearch, in turns.

The difference is the cost of the web process, the query language, the exclusion of narrowed incidents, the check of
every hit against the record, and building the response.
"""

from __future__ import annotations

import json
import random
from typing import Any

from django.conf import settings

from benches import words
from benches.figures import Figure, percentile
from benches.http_client import Connection, queries_with_results, search_path
from incidents.models import User
from incidents.scopes import ANONYMOUS, Viewer
from kb.api.tokens import create_token
from kb.search.elastic import generations, query
from kb.search.elastic.client import client
from kb.search.elastic.engine import ElasticEngine
from kb.search.engine import EngineRequest
from kb.search.query import parse
from kb.search.service import PAGE_SIZE


def run(rounds: int, queries: int) -> list[Figure]:
    client().indices.refresh(index=generations.read_alias())
    author = Viewer.of(User.objects.get(email="author@bench.example"))
    _, secret = create_token(actor=author, name="bench")
    raw = Connection(settings.ELASTICSEARCH_URL)
    api = {ANONYMOUS: Connection(settings.BASE_URL), author: Connection(settings.BASE_URL, token=secret)}
    path = f"/{generations.read_alias()}/_search"
    texts = queries_with_results(ElasticEngine(), ANONYMOUS, words.queries(3 * queries), queries)
    chance = random.Random(1)
    # The first round warms up both sides and is not counted.
    times = [_round(texts, chance, raw, api, path) for _ in range(rounds + 1)][1:]
    p50 = [[percentile(side, 0.5) for side in sides] for sides in times]
    p95 = [[percentile(side, 0.95) for side in sides] for sides in times]
    return [
        Figure("Elasticsearch itself, p50", "ms", [theirs for theirs, _ in p50]),
        Figure("search API, p50", "ms", [ours for _, ours in p50]),
        Figure("Elasticsearch itself, p95", "ms", [theirs for theirs, _ in p95]),
        Figure("search API, p95", "ms", [ours for _, ours in p95]),
        Figure("API p95 / Elasticsearch p95", "", [ours / theirs for theirs, ours in p95], most=1.5),
    ]


def _round(
    texts: list[str], chance: random.Random, raw: Connection, api: dict[Viewer, Connection], path: str
) -> tuple[list[float], list[float]]:
    theirs, ours = [], []
    for text in texts:
        viewer = chance.choice(list(api))
        body = json.dumps(_body(viewer, text), default=str).encode()
        sides: list[Any] = [
            lambda body=body: theirs.append(raw.milliseconds("POST", path, body)),
            lambda viewer=viewer, text=text: ours.append(api[viewer].milliseconds("GET", search_path(text))),
        ]
        # In random order, so that neither side always benefits from warm caches.
        chance.shuffle(sides)
        for side in sides:
            side()
    return theirs, ours


def _body(viewer: Viewer, text: str) -> dict[str, Any]:
    """The body that the API sends to Elasticsearch for this query."""
    return query.body(EngineRequest(viewer, parse(text).root, size=PAGE_SIZE), hidden=[])
