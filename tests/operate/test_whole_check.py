"""`make test` itself: everything runs, a skipped test is a failure, and two checkouts do not collide."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from .conftest import MARK, ROOT, Started, wait_until

URLS = {
    "DATABASE_URL": "postgresql://precedent:precedent@127.0.0.1:54329/precedent",
    "ELASTICSEARCH_URL": "http://127.0.0.1:19200",
    "CELERY_BROKER_URL": "redis://127.0.0.1:63799/0",
}


@pytest.fixture
def testing(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of scripts/testing."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts/testing"))
    import plan
    import schedule
    import step

    modules: dict[str, ModuleType] = {"plan": plan, "schedule": schedule, "step": step}
    return SimpleNamespace(**modules)


def test_every_step_runs_even_when_an_early_one_fails(testing: SimpleNamespace, tmp_path: Path) -> None:
    step = testing.step.Step
    steps = [
        step("lint", ("false",), {}),
        step("tests", ("echo", "12 passed"), {}),
        step("needs lint", ("true",), {}, needs=("lint",)),
        step("missing", ("no-such-program",), {}),
    ]
    results = testing.schedule.run(steps, tmp_path, heavy_at_once=2, show_output=False)
    outcomes = {name: result.outcome.value for name, result in results.items()}
    assert outcomes == {"lint": "FAILED", "tests": "ok", "needs lint": "not run", "missing": "FAILED"}


def test_a_terminated_check_leaves_nothing_behind(started: Started, tmp_path: Path) -> None:
    tidy = tmp_path / "tidy"
    program = f"trap 'sleep 1; echo > {tidy}; exit' TERM; sleep 300 & wait"
    # The command exits at once; the process that it started has something to clean up.
    command = ("bash", "-c", f"bash -c {shlex.quote(program)} & sleep 300")
    code = f"import os, pathlib, schedule, step; schedule.run([step.Step('long', {command!r}, os.environ)], "
    code += "pathlib.Path(), heavy_at_once=2, show_output=False)"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts/testing"), MARK: started.mark}
    check = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL)
    wait_until(lambda: list(started.processes().values()).count("sleep 300") == 2, "the step")
    check.terminate()
    assert check.wait(20) == 143
    assert started.processes() == {}
    assert tidy.exists()


def test_a_skipped_test_is_a_failure_and_an_expected_failure_is_not(testing: SimpleNamespace, tmp_path: Path) -> None:
    suite = tmp_path / "test_it.py"
    report = tmp_path / "report.xml"
    judge = testing.plan._judge(report, may_be_empty=False)

    def verdict(body: str) -> str:
        suite.write_text(f"import pytest\n{body}\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, "-c", "/dev/null", "--rootdir", str(tmp_path), f"--junitxml={report}", str(suite)],
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        found: str = judge(done.returncode, done.stdout)
        return found

    assert verdict("def test_a(): pass") == ""
    assert verdict("@pytest.mark.xfail\ndef test_a(): assert 0") == ""
    assert "1 skipped" in verdict("def test_a(): pytest.skip('no service')\ndef test_b(): pass")
    assert "1 failed" in verdict("def test_a(): assert 0")
    assert verdict("") == "no tests were found"


def test_both_modes_the_browser_and_the_lint_are_in_the_plan(testing: SimpleNamespace, tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin", "SECRET_KEY": "the person's own", "DATABASE_URL": "sqlite:///mine"}
    steps = {step.name: step for step in testing.plan.steps(ROOT, tmp_path, environ, URLS, ["-k", "search"], 2)}

    commands = " ; ".join(" ".join(step.command) for step in steps.values())
    for part in ("ruff check", "ruff format --check", "lint-imports", "mypy", "makemigrations --check"):
        assert part in commands
    deploy = " ".join(steps["deployment check"].command)
    assert deploy.endswith("manage.py check --deploy --fail-level WARNING")
    assert "tests/operate" in steps["tests, operations"].command
    embedded, full = steps["tests, embedded mode"], steps["tests, full mode"]
    assert not set(URLS) & set(embedded.env)
    assert set(URLS) <= set(full.env)
    assert "SECRET_KEY" not in embedded.env
    assert embedded.command[-2:] == ("-k", "search")
    assert full.env["VAR_DIR"] != embedded.env["VAR_DIR"]
    for variable in ("DATABASE_URL", "ELASTICSEARCH_INDEX"):
        assert steps["tests, browser"].env[variable] != full.env[variable]


def test_settings_of_a_developers_own_installation_do_not_reach_the_checks(
    testing: SimpleNamespace, tmp_path: Path
) -> None:
    table = (ROOT / "docs/configuration.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    assert len(documented) > 20
    theirs = {variable: f"their own {variable}" for variable in documented}
    steps = testing.plan.steps(ROOT, tmp_path, {"PATH": "/usr/bin", **theirs}, URLS, [], 2)

    # These three set up what the checks use, such as servers that the developer has chosen.
    checks = [step for step in steps if step.name not in ("services", "environment", "browser")]
    assert len(checks) == len(steps) - 3
    for step in checks:
        reached = {variable for variable, value in theirs.items() if step.env.get(variable) == value}
        assert reached == set(), step.name


def test_the_services_are_started_with_a_python_that_is_new_enough(testing: SimpleNamespace, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 'SyntaxError: invalid syntax' >&2\nexit 1\n")
    old.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = testing.plan.services_command("env")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(URLS) <= set(testing.plan.parse_exports(done.stdout))

    steps = {step.name: step for step in testing.plan.steps(ROOT, tmp_path, env, URLS, [], 2)}
    assert steps["services"].command == testing.plan.services_command("up")
    # This gets no further than asking for the services' URLs.
    check = [sys.executable, "scripts/testing"]
    env["PRECEDENT_REDIS_PORT"] = "none"
    ended = subprocess.run(check, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "PRECEDENT_REDIS_PORT" in ended.stderr


def test_a_build_server_runs_this_check(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    for name in ("make", "python3"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n')
        program.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([".ci/run"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert calls.read_text().splitlines()[-1] == "make test"
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^test:.*\n\t@scripts/test \$\(ARGS\)$", makefile, re.MULTILINE)


def test_two_checkouts_use_different_databases(testing: SimpleNamespace) -> None:
    corner = testing.plan.isolated_urls
    assert corner(Path("/a"), URLS, {})["DATABASE_URL"] != corner(Path("/b"), URLS, {})["DATABASE_URL"]
    assert corner(Path("/a"), URLS, URLS) == {}, "variables that are already set stay"
