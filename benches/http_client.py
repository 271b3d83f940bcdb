"""Timed HTTP requests over one persistent connection, to Elasticsearch as well as to the API."""

from __future__ import annotations

import http.client
import time
from urllib.parse import quote, urlsplit

from incidents.scopes import Viewer
from kb.search.engine import Engine, EngineRequest
from kb.search.query import parse


class Connection:
    def __init__(self, address: str, *, token: str = "") -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def milliseconds(self, method: str, path: str, body: bytes | None = None) -> float:
        began = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        lasted = (time.perf_counter() - began) * 1000
        if response.status != 200:
            raise RuntimeError(f"{response.status} for {method} {path}: {answer[:300]!r}")
        return lasted


def search_path(text: str) -> str:
    return f"/api/v1/search?q={quote(text)}"


def queries_with_results(engine: Engine, viewer: Viewer, texts: list[str], count: int) -> list[str]:
    """The first `count` queries that find something as they are. The API retries others with fewer words."""
    found = (text for text in texts if engine.search(EngineRequest(viewer, parse(text).root, size=1)).total)
    return [text for text, _ in zip(found, range(count), strict=False)]
