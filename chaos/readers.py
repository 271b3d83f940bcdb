"""Continuous searches over HTTP by an anonymous reader, an outsider and an author, checked against the history.

A leak is any sign of what the reader must not find: a result, a total, a facet count, a page. A server error is any
status of 500 or above, any other unexpected status, and any request without a response.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from chaos.history import READERS, History

PATIENCE = 30.0


@dataclass
class Observed:
    """What the readers saw. `answers` counts searches by engine, with degraded ones marked."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Readers:
    def __init__(self, address: str, tokens: Mapping[str, str], history: History, *, rest: float) -> None:
        """One thread per reader, each of which pauses for `rest` seconds between two requests."""
        self.host = urlsplit(address).netloc
        self.tokens, self.history, self.rest = tokens, history, rest
        self.observed = Observed()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[reader, place], name=f"reader-{reader}")
            for place, reader in enumerate(READERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def engine_now(self) -> str:
        """The engine that currently answers an anonymous search, or an empty string if the search fails."""
        status, body = self._get("anonymous", "/api/v1/search?q=checkout&page_size=1")
        return str(json.loads(body)["engine"]) if status == 200 else ""

    # --- One reader --------------------------------------------------------------------------------
    def _run(self, reader: str, seed: int) -> None:
        chance = random.Random(seed)
        ways = (self._search, self._search, self._search, self._search_page, self._page, self._search_all)
        while not self._over.wait(self.rest):
            lately, texts = self.history.lately(), self.history.texts()
            text = chance.choice(lately if lately and chance.random() < 0.7 else texts)
            way = chance.choice(ways)
            try:
                way(reader, text)
            except (OSError, http.client.HTTPException) as error:
                self._error(f"{reader}: {way.__name__.strip('_')}: {type(error).__name__}: {error}")

    def _search(self, reader: str, text: str) -> None:
        """Search for a word of a single incident: for readers who must not see it, total and facets must be empty."""
        asked = time.monotonic()
        status, body = self._get(reader, f"/api/v1/search?q={text}")
        answered = time.monotonic()
        if status != 200:
            return
        answer = json.loads(body)
        with self._lock:
            self.observed.answers[answer["engine"] + (" (degraded)" if answer["degraded"] else "")] += 1
        facets = {
            name: [value["value"] for value in values if value["count"]] for name, values in answer["facets"].items()
        }
        shown = {name: values for name, values in facets.items() if values}
        if (answer["total"] or answer["results"] or shown) and self.history.forbidden(text, reader, asked, answered):
            refs = [result["ref"] for result in answer["results"]]
            self._leak(f"{reader} by {answer['engine']} found {text}: total {answer['total']}, results {refs}, {shown}")

    def _search_all(self, reader: str, text: str) -> None:
        """Search for a word that all incidents share: no result may be one that this reader must not find."""
        asked = time.monotonic()
        status, body = self._get(reader, "/api/v1/search?q=checkout&page_size=100")
        answered = time.monotonic()
        if status != 200:
            return
        answer = json.loads(body)
        for result in answer["results"]:
            name = result["title"].split()[-1]
            if self.history.forbidden(name, reader, asked, answered):
                self._leak(f"{reader} by {answer['engine']} was shown {result['ref']} {name} in a search for all")

    def _search_page(self, reader: str, text: str) -> None:
        """Search on the web page. It repeats the query, so a result is recognized by its link."""
        if reader != "anonymous":
            return self._search(reader, text)
        ref = self.history.ref(text)
        asked = time.monotonic()
        status, body = self._get(reader, f"/search?q={quote(text)}")
        answered = time.monotonic()
        if ref is not None and status == 200 and f"/incidents/{ref}" in body:
            self._judge(reader, text, asked, answered, "search page")
        return None

    def _page(self, reader: str, text: str) -> None:
        ref = self.history.ref(text)
        if ref is None:
            return
        path = f"/incidents/{ref}" if reader == "anonymous" else f"/api/v1/incidents/{ref}"
        asked = time.monotonic()
        status, body = self._get(reader, path)
        answered = time.monotonic()
        if status == 200 and text in body:
            self._judge(reader, text, asked, answered, path)

    def _judge(self, reader: str, text: str, asked: float, answered: float, where: str) -> None:
        if self.history.forbidden(text, reader, asked, answered):
            self._leak(f"{reader} was shown {text} on {where}")

    # --- HTTP --------------------------------------------------------------------------------------
    def _get(self, reader: str, path: str) -> tuple[int, str]:
        token = self.tokens.get(reader)
        began = time.monotonic()
        # A new connection for each request: the campaign tests responses, not the reuse of connections.
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", path, headers={**headers, "Connection": "close"})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        with self._lock:
            self.observed.requests += 1
            self.observed.slowest = max(self.observed.slowest, time.monotonic() - began)
        if response.status >= 500:
            self._error(f"{reader}: {response.status} for {path}: {body[:200]}")
        elif response.status not in (200, 404):
            self._error(f"{reader}: an unexpected {response.status} for {path}: {body[:200]}")
        return response.status, body

    def _leak(self, what: str) -> None:
        with self._lock:
            self.observed.leaks.append(what)

    def _error(self, what: str) -> None:
        with self._lock:
            self.observed.errors.append(what)
