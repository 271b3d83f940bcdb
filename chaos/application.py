"""Runs the application under test as processes: web, two workers, beat, and the proxy in front of Elasticsearch.

A process that dies is restarted, as a supervisor would do. Nothing here imports the application.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from chaos.services import ROOT, Services, Trouble, base_environment, free_port

BIN = Path(sys.executable).parent
WORKER = ("worker", "--pool", "threads", "--concurrency", "4")


def environment(
    services: Services, *, database: str, folder: Path, elasticsearch_port: int, port: int, prefix: str
) -> dict[str, str]:
    """The environment variables of the application. `folder` becomes its VAR_DIR."""
    return {
        **base_environment(),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DJANGO_SETTINGS_MODULE": "kb.settings",
        "DATABASE_URL": services.database_url(database),
        "CELERY_BROKER_URL": services.broker_url,
        "ELASTICSEARCH_URL": f"http://127.0.0.1:{elasticsearch_port}",
        "ELASTICSEARCH_INDEX": prefix,
        "SECRET_KEY": "only-for-a-campaign-against-services-of-its-own-0123456789",
        "VAR_DIR": str(folder),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        # Readers send requests as fast as they can and must not be throttled.
        "API_RATE_USER": "1000000/min",
        "API_RATE_ADDRESS": "1000000/min",
    }


class Process:
    """One long-running process whose output goes to a file."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.command, self.env, self.log = command, env, log
        self._wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            self._wanted = True
            self._spawn()

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def revive(self) -> int | None:
        """Restart the process if it ended unasked; returns its exit code, or None if it is still running."""
        with self._lock:
            if not self._wanted or self._process is None or (code := self._process.poll()) is None:
                return None
            self._spawn()
            return code

    @property
    def pid(self) -> int:
        if self._process is None:
            raise Trouble(f"{self.log.stem} is not running")
        return self._process.pid

    def tell(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise Trouble(f"{self.log.stem} is not running")
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, seconds: float = 15.0) -> None:
        with self._lock:
            self._wanted = False
            process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Application:
    """The processes of one installation. With `doomed`, its workers can be made to die; see chaos.doomed."""

    def __init__(self, services: Services, *, database: str, prefix: str, folder: Path, doomed: bool) -> None:
        self.port, self.proxy_port = free_port(), free_port()
        self.dies_on = folder / "dies-now"
        self.env = environment(
            services,
            database=database,
            folder=folder,
            elasticsearch_port=self.proxy_port,
            port=self.port,
            prefix=prefix,
        )
        worker_env = {**self.env, "CHAOS_DIES_ON": str(self.dies_on)}
        web = (ROOT / "Procfile").read_text().split("web: exec ", 1)[1].splitlines()[0]
        celery = [sys.executable, "-m", "celery", "--quiet", "-A"]
        workers = [
            [*celery, "chaos.doomed" if doomed else "kb", *WORKER, "--hostname", f"worker{number}@chaos"]
            for number in (1, 2)
        ]
        proxy = [sys.executable, "-m", "chaos.proxy", str(self.proxy_port), str(services.ports["elasticsearch"])]
        self.proxy = Process(proxy, self.env, folder / "proxy.log")
        # The command comes from the Procfile, so that the real one is tested.
        self.web = Process(["bash", "-c", f"exec {web}"], self.env, folder / "web.log")
        self.workers = [
            Process(command, worker_env, folder / f"worker{number}.log") for number, command in enumerate(workers, 1)
        ]
        self.beat = Process([*celery, "kb", "beat", "--pidfile="], self.env, folder / "beat.log")
        # The processes that ended unasked, with their exit codes.
        self.deaths: list[tuple[str, int]] = []
        self._over = threading.Event()

    @property
    def address(self) -> str:
        return self.env["BASE_URL"]

    @property
    def processes(self) -> list[Process]:
        return [self.proxy, self.web, *self.workers, self.beat]

    def __enter__(self) -> Application:
        for process in self.processes:
            process.start()
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # In reverse order, so that the proxy outlives the processes that use it.
        for process in reversed(self.processes):
            process.stop()

    def _supervise(self) -> None:
        while not self._over.wait(0.5):
            for process in self.processes:
                if (code := process.revive()) is not None:
                    self.deaths.append((process.log.stem, code))

    def _wait(self, seconds: float = 60.0) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                opener.open(f"{self.address}/healthz", timeout=5).close()
            except (URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise Trouble(f"the web process does not answer after {seconds:.0f} s; see {self.web.log}")
