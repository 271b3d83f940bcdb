"""Search through the API of an embedded installation: SQLite on one machine, without services."""

from __future__ import annotations

from django.conf import settings

from benches import words
from benches.figures import Figure, percentile
from benches.http_client import Connection, queries_with_results, search_path
from incidents.scopes import ANONYMOUS
from kb.search.database.engine import DatabaseEngine


def run(rounds: int, queries: int) -> list[Figure]:
    api = Connection(settings.BASE_URL)
    texts = queries_with_results(DatabaseEngine(), ANONYMOUS, words.queries(3 * queries), queries)
    times = [[api.milliseconds("GET", search_path(text)) for text in texts] for _ in range(rounds + 1)][1:]
    return [
        Figure("embedded search, p50", "ms", [percentile(part, 0.5) for part in times]),
        Figure("embedded search, p95", "ms", [percentile(part, 0.95) for part in times], most=50),
    ]
