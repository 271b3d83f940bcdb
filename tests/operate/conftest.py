"""Shared fixtures. Tests find the processes they started by a variable in the environment of each."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("DATABASE_URL", "ELASTICSEARCH_URL", "CELERY_BROKER_URL")
MARK = "PRECEDENT_STARTED_BY"


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


class Started:
    """All processes that carry our mark: those a test started, and all their descendants."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex

    def processes(self) -> dict[int, str]:
        """Process ids and command lines, without zombies."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            try:
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
        return found

    def one(self, *words: str) -> int:
        """The process with the lowest id among those whose command line contains all the words."""
        return min(pid for pid, line in self.processes().items() if all(word in line for word in words))


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    for pid in started.processes():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def plain(started: Started) -> dict[str, str]:
    """An environment without any of Precedent's variables, plus our mark."""
    unset = {*SERVICES, "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "BASE_URL", "VAR_DIR", "HOST", "PORT"}
    unset |= {"DJANGO_SETTINGS_MODULE", "PYTHON", "VIRTUAL_ENV", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    kept = {key: value for key, value in os.environ.items() if key not in unset}
    return {**kept, MARK: started.mark}


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def full_mode() -> Iterator[dict[str, str]]:
    """The variables of the full mode, with a new database and new indices, which are deleted afterwards."""
    subprocess.run(["scripts/services", "up"], cwd=ROOT, check=True, capture_output=True)
    exports = subprocess.run(["scripts/services", "env"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    urls = dict(word.split("=", 1) for word in shlex.split(exports) if "=" in word)
    name = f"operate_{uuid.uuid4().hex[:12]}"
    server, _, _ = urls["DATABASE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield {**urls, "DATABASE_URL": f"{server}/{name}", "ELASTICSEARCH_INDEX": name}
    finally:
        with Elasticsearch(urls["ELASTICSEARCH_URL"]) as elasticsearch:
            for index in elasticsearch.indices.get(index=f"{name}-*", ignore_unavailable=True):
                elasticsearch.indices.delete(index=index)
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
