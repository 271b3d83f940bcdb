"""The installations that are measured: one in the full mode with its own services, and one in the embedded mode.

Their data, which includes the corpus, is kept for the next run in a folder next to that of `scripts/services`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from benches.words import EDITION
from chaos import databases
from chaos.application import BIN, WORKER, Process, environment
from chaos.services import ROOT, Services, Trouble, base_environment, free_port


def full(services: Services, incidents: int) -> dict[str, str]:
    """The environment variables of the full mode, with a corpus of this size."""
    env = environment(
        services,
        database=f"corpus_{EDITION}_{incidents}",
        folder=_folder(services),
        elasticsearch_port=services.ports["elasticsearch"],
        port=free_port(),
        prefix=f"corpus-{EDITION}-{incidents}",
    )
    return {**env, "LOG_LEVEL": "WARNING"}


def embedded(services: Services, incidents: int) -> dict[str, str]:
    """The environment variables of the embedded mode, with a corpus of this size in an SQLite file."""
    folder = _folder(services) / f"embedded-{EDITION}-{incidents}"
    folder.mkdir(exist_ok=True)
    port = free_port()
    return {
        **base_environment(),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DJANGO_SETTINGS_MODULE": "kb.settings",
        "VAR_DIR": str(folder),
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "API_RATE_ADDRESS": "1000000/min",
        "LOG_LEVEL": "WARNING",
    }


def fill(services: Services, env: dict[str, str], incidents: int) -> None:
    """Generate the corpus unless it already exists. An interrupted attempt is started over by the next run."""
    done = Path(env["VAR_DIR"]) / f"filled-{env.get('ELASTICSEARCH_INDEX', 'embedded')}"
    name = env.get("DATABASE_URL", "").rpartition("/")[2]
    is_there = done.exists() and (not name or databases.exists(services, name))
    if not is_there:
        done.unlink(missing_ok=True)
        if name:
            databases.drop(services, name)
            databases.create(services, name)
        else:
            for file in Path(env["VAR_DIR"]).glob("precedent.sqlite3*"):
                file.unlink()
    # A corpus kept from an earlier run may lack recent migrations.
    run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env)
    if not is_there:
        run([sys.executable, "-m", "benches.corpus_writer", str(incidents)], env)
        done.touch()


def run(command: list[str], env: dict[str, str]) -> None:
    code = subprocess.run(command, cwd=ROOT, env=env).returncode
    if code:
        raise Trouble(f"{' '.join(command)} ended with exit code {code}")


def measure(module: str, env: dict[str, str], **options: object) -> list[dict[str, object]]:
    """Run one bench in a process of its own; returns its figures as stored by `benches.runner`."""
    result = Path(env["VAR_DIR"]) / f"{module}.json"
    result.unlink(missing_ok=True)
    run([sys.executable, "-m", "benches.runner", module, str(result), json.dumps(options)], env)
    figures: list[dict[str, object]] = json.loads(result.read_text())
    return figures


@contextmanager
def web(env: dict[str, str]) -> Iterator[Process]:
    """The web process of the Procfile, once it answers requests."""
    command = (ROOT / "Procfile").read_text().split("web: exec ", 1)[1].splitlines()[0]
    process = Process(["bash", "-c", f"exec {command}"], env, Path(env["VAR_DIR"]) / "web.log")
    process.start()
    try:
        _wait(env["BASE_URL"])
        yield process
    finally:
        process.stop()


@contextmanager
def workers(env: dict[str, str], count: int) -> Iterator[list[Process]]:
    """Celery workers as in the Procfile. Beat is left out, so that only nudges trigger the work that is measured."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "kb", *WORKER]
    processes = [
        Process([*command, "--hostname", f"bench{n}@local"], env, Path(env["VAR_DIR"]) / f"worker{n}.log")
        for n in range(count)
    ]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.stop()


def megabytes(pid: int) -> list[float]:
    """The resident memory of a process and of each of its children, in MB."""
    folder = Path(f"/proc/{pid}/task/{pid}/children")
    family = [pid, *map(int, folder.read_text().split())]
    return [_resident(member) for member in family]


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def _wait(address: str, seconds: float = 60.0) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            opener.open(f"{address}/healthz", timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise Trouble(f"the web process does not answer after {seconds:.0f} s")


def _folder(services: Services) -> Path:
    folder = services.folder / "var"
    folder.mkdir(exist_ok=True)
    return folder
