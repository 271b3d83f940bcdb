"""scripts/services, tested on a Redis separate from the one that other tests use."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from .conftest import ROOT, SERVICES


class Services:
    """`scripts/services` with its own cache folder and port."""

    def __init__(self, cache: Path, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self.cache = cache
        self.env = {key: value for key, value in os.environ.items() if key not in SERVICES}
        self.env |= {
            "PRECEDENT_SERVICES": "native",
            "PRECEDENT_CACHE": str(cache),
            "PRECEDENT_REDIS_PORT": str(port),
        }

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/services", *words], cwd=ROOT, env={**self.env, **env}, capture_output=True, text=True
        )

    def ping(self) -> bool:
        return bool(redis.Redis.from_url(self.url).ping())

    def pid_file(self) -> Path:
        return self.cache / "services/redis/pid"


@pytest.fixture
def services(free_port: int) -> Iterator[Services]:
    # Not tmp_path: the account that runs the services for root cannot enter its parents.
    with tempfile.TemporaryDirectory(prefix="precedent-services-") as cache:
        Path(cache).chmod(0o755)
        services = Services(Path(cache), free_port)
        yield services
        services("down", "redis")


def test_up_waits_until_healthy_and_is_harmless_when_repeated(services: Services) -> None:
    first = services("up", "redis")
    remembered = services.pid_file().read_text()
    again = services("up", "redis")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert services.ping()
    assert services.pid_file().read_text() == remembered
    assert services("status", "redis").returncode == 0
    assert "Ready to accept connections" in services("logs", "redis").stdout


def test_a_killed_service_is_reported_and_can_be_started_again(services: Services) -> None:
    services("up", "redis")
    killed = services("kill", "redis")
    status = services("status", "redis")

    assert killed.returncode == 0
    assert status.returncode == 1
    assert "not healthy" in status.stdout
    with pytest.raises(redis.ConnectionError):
        services.ping()

    assert services("start", "redis").returncode == 0
    assert services.ping()


def test_down_stops_only_what_was_started_here(services: Services, free_port: int) -> None:
    services("up", "redis")
    unrelated = subprocess.Popen(["sleep", "60"])
    try:
        # As after a reboot: the process id is in use again, by a process that is not ours.
        ours = services.pid_file().read_text()
        pid = int(redis.Redis.from_url(services.url).info("server")["process_id"])
        services.pid_file().write_text(ours.replace(str(pid), str(unrelated.pid)))
        assert "was not running" in services("down", "redis").stdout
        assert unrelated.poll() is None
        assert services.ping()

        services.pid_file().write_text(ours)
        assert services("down", "redis").returncode == 0
        with pytest.raises(redis.ConnectionError):
            services.ping()
    finally:
        unrelated.send_signal(signal.SIGKILL)
        unrelated.wait()


def test_a_port_in_use_by_another_server_is_reported(services: Services) -> None:
    services("up", "redis")
    remembered = services.pid_file().read_text()
    services.pid_file().unlink()
    refused = services("up", "redis")
    services.pid_file().write_text(remembered)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "PRECEDENT_REDIS_PORT" in refused.stderr


def test_a_server_set_in_a_variable_is_used_but_not_stopped(services: Services) -> None:
    elsewhere = "redis://user:secret@127.0.0.1:1/0"
    status = services("status", "redis", CELERY_BROKER_URL=elsewhere)
    stopped = services("stop", "redis", CELERY_BROKER_URL=elsewhere)

    assert status.returncode == 1
    assert "given" in status.stdout
    assert "secret" not in status.stdout
    assert stopped.returncode == 1
    assert "was not started here" in stopped.stderr


def test_up_fails_if_the_server_set_in_a_variable_does_not_answer(services: Services, free_port: int) -> None:
    refused = services("up", "redis", CELERY_BROKER_URL="redis://user:secret@127.0.0.1:1/0")

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("services: redis (set in CELERY_BROKER_URL) is not healthy: ")
    assert refused.stderr.count("\n") == 1
    assert "secret" not in refused.stderr

    services("up", "redis")
    given = services("up", "redis", CELERY_BROKER_URL=services.url, PRECEDENT_REDIS_PORT=str(free_port + 1))
    assert given.returncode == 0, given.stderr
    assert "given" in given.stdout


def test_env_can_be_evaluated_and_then_prints_the_same(services: Services) -> None:
    lines = services("env").stdout
    variables = dict(word.split("=", 1) for word in shlex.split(lines) if "=" in word)

    assert set(variables) == set(SERVICES)
    assert services("env", **variables).stdout == lines
    assert "native" in services("status", "redis", **variables).stdout


def test_an_unknown_name_is_reported_in_one_clear_line(services: Services) -> None:
    refused = services("up", "mysql")
    assert refused.returncode == 1
    assert refused.stderr == "services: Unknown service 'mysql'. The services are postgresql, redis, elasticsearch.\n"


def test_the_help_lists_every_variable_of_its_own(services: Services) -> None:
    shown = services("--help").stdout
    read = {
        name
        for file in (ROOT / "scripts/backing").glob("*.py")
        for name in re.findall(r"PRECEDENT_[A-Z]+(?:_[A-Z]+)*", file.read_text())
    }
    assert "PRECEDENT_ELASTICSEARCH_HEAP" in read
    assert read <= set(re.findall(r"PRECEDENT_\w+", shown))
