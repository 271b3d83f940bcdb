"""Private backing services: a folder, three ports, and servers that can be stopped, killed and emptied at will.

They are managed by `scripts/services`, so they are the usual services, only in another place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("postgresql", "redis", "elasticsearch")
# Settings of the caller's environment that must not reach the processes started here.
EXCLUDED_VARIABLES = (
    *("DATABASE_URL", "ELASTICSEARCH_URL", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_CA", "ELASTICSEARCH_INDEX"),
    *("CELERY_BROKER_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "BASE_URL", "HOST", "PORT", "VAR_DIR"),
    *("EMAIL_URL", "METRICS_TOKEN", "TRUSTED_PROXIES", "LOG_LEVEL", "LOG_FORMAT", "DJANGO_SETTINGS_MODULE"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME"),
)


class Trouble(Exception):
    """A service or process did not do what it was asked to do."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def shared_cache() -> Path:
    """Where `scripts/services` keeps its programs and data on this machine."""
    ask = "from backing import places; print(places.cache())"
    answer = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        raise Trouble(answer.stderr)
    return Path(answer.stdout.strip())


class Services:
    """The three services in `folder`, run with the programs already installed on this machine.

    With a `password`, Elasticsearch requires it and uses TLS. `java` holds the options for its Java, or None for those
    that the tests use. `shared` services already run and have other users: they are neither started nor stopped.
    `redis` is the number of the Redis database to use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ports: dict[str, int] | None = None,
        heap: str = "512m",
        java: str | None = None,
        password: str = "",
        shared: bool = False,
        redis: int = 0,
    ) -> None:
        self.folder, self.heap, self.java, self.password = folder, heap, java, password
        self.shared, self.redis = shared, redis
        self.ports = ports or {name: free_port() for name in NAMES}

    # --- Addresses ---------------------------------------------------------------------------------
    def database_url(self, name: str) -> str:
        return f"postgresql://precedent:precedent@127.0.0.1:{self.ports['postgresql']}/{name}"

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports['redis']}/{self.redis}"

    @property
    def elasticsearch_url(self) -> str:
        address = f"127.0.0.1:{self.ports['elasticsearch']}"
        return f"https://precedent:{quote(self.password, safe='')}@{address}" if self.password else f"http://{address}"

    @property
    def elasticsearch_authority(self) -> Path:
        return self.folder / "services" / "certificates" / "ca.pem"

    # --- Control -----------------------------------------------------------------------------------
    def up(self, *names: str) -> None:
        if not self.shared:
            self._run_script("up", *names)

    def stop(self, *names: str) -> None:
        self._run_script("stop", *names)

    def kill(self, *names: str) -> None:
        self._run_script("kill", *names)

    def empty_elasticsearch(self) -> None:
        """Delete the data folder of Elasticsearch, which must not be running."""
        shutil.rmtree(self.folder / "services" / "elasticsearch" / "data")

    def _run_script(self, command: str, *names: str) -> None:
        if self.shared:
            raise Trouble(f"Cannot {command} services that others share. Run without --ports.")
        done = subprocess.run(
            ["scripts/services", command, *names], cwd=ROOT, env=self._environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise Trouble(f"scripts/services {command} {' '.join(names)}: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        return {
            **base_environment(),
            **{f"PRECEDENT_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "PRECEDENT_SERVICES": "native",
            "PRECEDENT_CACHE": str(self.folder),
            "PRECEDENT_ELASTICSEARCH_HEAP": self.heap,
            "PRECEDENT_ELASTICSEARCH_PASSWORD": self.password,
            **({} if self.java is None else {"ES_JAVA_OPTS": self.java}),
        }


def base_environment() -> dict[str, str]:
    """The environment of this process, without settings that would lead the application to other services."""
    return {key: value for key, value in os.environ.items() if key not in EXCLUDED_VARIABLES}


@contextmanager
def temporary(purpose: str, *, password: str = "") -> Iterator[Services]:
    """Services that are removed afterwards, with their data. Leftovers of interrupted runs are removed first."""
    home = _home(purpose)
    for left in home.iterdir():
        _remove_leftovers(left)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=home))
    with _folder_lock(folder):
        services = Services(_prepare(folder), password=password)
        try:
            yield services
        finally:
            services.stop()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared(ports: dict[str, int], redis: int) -> Iterator[Services]:
    """Services that already run and that others keep using."""
    with tempfile.TemporaryDirectory(prefix="precedent-shared-") as folder:
        yield Services(Path(folder), ports=ports, shared=True, redis=redis)


@contextmanager
def persistent(purpose: str) -> Iterator[Services]:
    """Services whose data is kept for the next run. Only one run can use them at a time."""
    folder = _home(purpose)
    with _folder_lock(folder):
        services = Services(_prepare(folder), heap="1g", java="")
        services.stop()
        try:
            yield services
        finally:
            services.stop()


def _home(purpose: str) -> Path:
    home = shared_cache() / purpose
    home.mkdir(parents=True, exist_ok=True)
    return home


def _prepare(folder: Path) -> Path:
    """Let the unprivileged account that runs the services enter the folder, and link the shared programs into it."""
    folder.chmod(0o755)
    programs = shared_cache() / "elasticsearch"
    programs.mkdir(exist_ok=True)
    link = folder / "elasticsearch"
    if not link.exists():
        link.symlink_to(programs)
    return folder


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as lock:
        if not _try(lock):
            raise Trouble(f"{folder} is in use by another run. Wait for it to finish, or stop it.")
        yield


def _try(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove the leftovers of an interrupted run. A run that is still in progress holds the lock and is left alone."""
    try:
        lock = (folder / "lock").open()
    except FileNotFoundError:
        return
    with lock:
        if _try(lock):
            Services(folder).stop()
            shutil.rmtree(folder, ignore_errors=True)
