"""A service as a container, from the docker-compose.yml that production uses, in a separate Compose project."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from .trouble import Trouble

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ["docker", "compose", "--project-name", "precedent-services"]
COMPOSE += ["-f", str(ROOT / "docker-compose.yml"), "-f", str(Path(__file__).with_name("compose.yml"))]
# Compose interpolates the whole file even to start one of its services.
FILLED_IN = dict.fromkeys(("POSTGRES_PASSWORD", "ELASTIC_PASSWORD", "REDIS_PASSWORD"), "precedent") | {
    "SECRET_KEY": "not-used-by-the-services",
    "ALLOWED_HOSTS": "localhost",
    "BASE_URL": "http://localhost",
}


@functools.cache
def engine_answers() -> bool:
    """Whether a Docker engine answers, not just the command; and Compose, a separate package on Debian, is there."""
    if not shutil.which("docker"):
        return False
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            if subprocess.run(command, capture_output=True, timeout=15).returncode:
                return False
        except subprocess.TimeoutExpired:
            return False
    return True


class Container:
    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._env = {**os.environ, **FILLED_IN, f"PRECEDENT_{name.upper()}_PORT": str(port)}

    def up(self) -> None:
        self._compose("up", "-d", "--wait", "--wait-timeout", "180", "--no-deps", self.name)

    def stop(self) -> bool:
        running = self.running()
        self._compose("stop", self.name)
        return running

    def kill(self) -> bool:
        running = self.running()
        if running:
            self._compose("kill", "--signal", "SIGKILL", self.name)
        return running

    def down(self) -> bool:
        """Remove the container; the volume stays, like the data folder of a native service."""
        running = self.running()
        self._compose("rm", "--stop", "--force", self.name)
        return running

    def running(self) -> bool:
        return bool(self._compose("ps", "--quiet", "--status", "running", self.name).strip())

    def logs(self, lines: int, follow: bool) -> None:
        words = [
            "logs",
            "--no-log-prefix",
            "--tail",
            str(lines),
            *(["--follow"] if follow else []),
            self.name,
        ]
        subprocess.run([*COMPOSE, *words], env=self._env, check=False)

    def _compose(self, *words: str) -> str:
        done = subprocess.run([*COMPOSE, *words], env=self._env, capture_output=True, text=True)
        if done.returncode:
            details = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise Trouble(f"docker compose {words[0]} {self.name} failed with exit code {done.returncode}.", details)
        return done.stdout
