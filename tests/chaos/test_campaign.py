"""The short form of the fault campaign: a few faults and few writes, otherwise the same as `make chaos`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chaos.application import Process
from chaos.episode import Outcome, unexpected_deaths
from chaos.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]

# Elasticsearch refuses writes; the database is restored from a dump; a worker dies in the middle of a batch.
PLAYED = (
    "elasticsearch-full",
    "database-restored",
    "worker-killed-after-write",
)


def running_services() -> list[str]:
    """Options to use the services of the tests, if those come from `scripts/services`.

    With any other services there are no options, and the campaign starts its own.
    """
    database, redis, elasticsearch = (
        urlsplit(os.environ[name]) for name in ("DATABASE_URL", "CELERY_BROKER_URL", "ELASTICSEARCH_URL")
    )
    here = {address.hostname for address in (database, redis, elasticsearch)} == {"127.0.0.1"}
    if not here or (database.username, database.password) != ("precedent", "precedent"):
        return []
    # A different Redis database from the one that the tests use.
    number = (int(redis.path.strip("/") or 0) + 7) % 15 + 1
    ports = [str(address.port) for address in (database, redis, elasticsearch)]
    return ["--ports", *ports, "--redis", str(number)]


def test_the_unexpected_death_of_a_process_fails_the_campaign(tmp_path):
    process = Process([sys.executable, "-c", "import sys; sys.exit(3)"], {}, tmp_path / "worker1.log")
    process.start()
    deadline = time.monotonic() + 20
    while (code := process.revive()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.stop()
    deaths = [("worker1", code), ("worker2", -signal.SIGKILL)]
    killed, other = (next(fault for fault in FAULTS if fault.doomed is doomed) for doomed in (True, False))
    assert unexpected_deaths(deaths, killed) == ["worker1 ended by itself with exit code 3"]
    assert len(unexpected_deaths(deaths, other)) == 2
    assert not Outcome("nothing", errors=unexpected_deaths(deaths, killed), converged_after=1.0).is_good


@pytest.mark.postgres_only
@pytest.mark.slow
def test_under_faults_nothing_is_lost_stale_or_leaked_and_no_request_fails():
    only = [word for fault in PLAYED for word in ("--only", fault)]
    # None of these faults affects other users of the same services.
    size = [*running_services(), "--together", "--writes", "60", "--seeds", "20", "--seconds", "2", "--rest", "0.15"]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *only, *size], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": good") == len(PLAYED)
