"""The image: what the Dockerfile says, and its steps executed on this machine."""

from __future__ import annotations

import fnmatch
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import ROOT, Started, wait_until
from .dockerfile import Stage, carry_out, parse


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return parse((ROOT / "Dockerfile").read_text())


def test_the_final_image_has_no_build_tools_and_no_root(stages: list[Stage]) -> None:
    final = stages[-1]
    assert len(stages) == 2
    assert final.base.endswith("-slim")
    assert final.last("USER").text.split(":")[0].isdecimal()
    assert int(final.last("USER").text.split(":")[0]) >= 1000
    assert not any(tool in run.text for run in final.instructions for tool in ("apt-get", "gcc", "pip install"))


def test_the_image_reports_its_health(stages: list[Stage]) -> None:
    health = stages[-1].last("HEALTHCHECK").text
    assert "--interval" in health
    assert "healthy" in health


def test_only_what_the_image_needs_reaches_the_builder(stages: list[Stage]) -> None:
    """.dockerignore excludes everything, and then allows exactly what COPY names."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    sources = {
        source
        for instruction in stages[0].instructions
        if instruction.word == "COPY"
        for source in instruction.words[:-1]
    }
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
    assert not any(fnmatch.fnmatch(secret, pattern) for secret in (".env", "var", ".git") for pattern in allowed)


@pytest.fixture(scope="module")
def image(stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The final stage, executed."""
    packages = Path(sysconfig.get_path("purelib"))
    done: dict[str, Stage] = {}
    for stage in stages:
        root = tmp_path_factory.mktemp(stage.name)
        carry_out(stage, context=ROOT, earlier=done, root=root, packages=packages)
        done[stage.name] = stage
    # Three outages are enough to show that the fixtures were copied.
    for outage in sorted((done["final"].root / "app/fixtures/outages").glob("*.yaml"))[3:]:
        outage.unlink()
    return done["final"]


class Containers:
    """Runs the entrypoint as `docker run IMAGE WORDS` would."""

    def __init__(self, image: Stage, env: dict[str, str]) -> None:
        self._entrypoint = image.last("ENTRYPOINT").words
        self._folder = image.inside(image.folder)
        self._env = {**image.environ(), **env}
        self._logs = image.root / "logs"
        self._logs.mkdir(exist_ok=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*self._entrypoint, *words]
        return subprocess.run(command, cwd=self._folder, env=self._env, capture_output=True, text=True, timeout=120)

    @contextmanager
    def up(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self._logs / name).open("wb") as log:
            process = subprocess.Popen(
                [*self._entrypoint, name],
                cwd=self._folder,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        return (self._logs / name).read_text(errors="replace")


@pytest.mark.slow
def test_its_steps_result_in_a_healthy_web_worker_and_beat(
    image: Stage, full_mode: dict[str, str], plain: dict[str, str], started: Started, free_port: int
) -> None:
    marked = {key: value for key, value in plain.items() if key.startswith("PRECEDENT_")}
    production = {
        "SECRET_KEY": "an-example-of-a-key-that-is-long-enough-for-the-checks-of-production",
        "BASE_URL": "https://precedent.example",
        "ALLOWED_HOSTS": "precedent.example",
        "HOST": "127.0.0.1",
        "PORT": str(free_port),
    }
    containers = Containers(image, {**full_mode, **production, **marked})
    assert (image.root / "app/static").is_dir()

    assert containers.run("healthy", "web").returncode == 1, "nothing runs yet"
    prepared = containers.run("prepare")
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    with containers.up("web") as web, containers.up("worker") as worker, containers.up("beat") as beat:
        for name, process in (("web", web), ("worker", worker), ("beat", beat)):

            def healthy(name: str = name, process: subprocess.Popen[bytes] = process) -> bool:
                assert process.poll() is None, containers.log(name)
                return containers.run("healthy", name).returncode == 0

            wait_until(healthy, f"a healthy {name}", 60)
    assert started.processes() == {}


def test_an_unknown_process_is_not_healthy(image: Stage) -> None:
    answer = Containers(image, {}).run("healthy", "everything")
    assert answer.returncode == 2
    assert "web, worker, beat" in answer.stderr
