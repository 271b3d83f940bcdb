"""The whole check as a list of steps. Planning is pure, so that tests can inspect the plan without running it."""

import hashlib
import re
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from step import Step

SERVICE_VARIABLES = ("DATABASE_URL", "ELASTICSEARCH_URL", "CELERY_BROKER_URL")
# Settings that a developer has made for their own installation must not reach the tests.
SETTINGS = (
    *("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "BASE_URL", "HOST", "PORT", "TRUSTED_PROXIES", "HTTPS_REDIRECT"),
    *("DATABASE_POOL_SIZE", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_CA", "ELASTICSEARCH_INDEX"),
    *("VAR_DIR", "STATIC_ROOT", "ORGANIZATION_NAME", "ADMIN_EMAIL", "EMAIL_URL", "DEFAULT_FROM_EMAIL"),
    *("METRICS_TOKEN", "LOG_LEVEL", "LOG_FORMAT", "SIGN_IN_FAILURES", "API_RATE_USER", "API_RATE_ADDRESS"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME"),
    *("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS"),
)

# Redis has fifteen databases for test processes that run concurrently.
MAX_WORKERS = 8
# Run each file in one process, which then sets up its shared fixtures once; and do not leave the longest files to the
# end.
WHOLE_FILES = ("--dist", "loadfile", "--no-loadscope-reorder")


def steps(
    root: Path,
    scratch: Path,
    environ: Mapping[str, str],
    services: Mapping[str, str],
    arguments: Sequence[str],
    cores: int,
) -> list[Step]:
    """The steps to run. `services` holds the three variables of the full mode; `scratch` is an empty folder."""
    venv = root / ".venv" / "bin"
    python = str(venv / "python")
    # Let Python keep its compiled modules, because a dozen processes import the same ones.
    foreign = (*SERVICE_VARIABLES, *SETTINGS, "PYTHONDONTWRITEBYTECODE")
    clean = {key: value for key, value in environ.items() if key not in foreign}
    clean["PATH"] = f"{venv}:{environ.get('PATH', '')}"

    def embedded(name: str, **more: str) -> dict[str, str]:
        var = scratch / _slug(name)
        var.mkdir()
        return {**clean, "VAR_DIR": str(var), **more}

    def tool(name: str, *command: str, **env: str) -> Step:
        return Step(name, (str(venv / command[0]), *command[1:]), embedded(name, **env), ("environment",))

    def tests(name: str, *selection: str, needs: tuple[str, ...], **env: str) -> Step:
        report = scratch / f"{_slug(name)}.xml"
        command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}"]
        # Look for the browser when the step runs, because an earlier step may have to install it.
        browser = ["bash", "-c", 'CHROMIUM="$(scripts/browser)" exec "$@"', "bash"] if "browser" in needs else []
        return Step(
            name,
            (*browser, *command, *selection, *arguments),
            embedded(name, **env),
            ("environment", *needs),
            judge=_judge(report, may_be_empty=bool(arguments)),
            describe=_last_line,
        )

    full = {
        **services,
        **isolated_urls(root, services, environ),
        "ELASTICSEARCH_INDEX": f"test-{_number(root):08x}",
        "SECRET_KEY": secrets.token_urlsafe(60),
    }
    # At least two even on two cores: the browser and operations tests, which run alongside, mostly wait.
    in_parallel = ("-n", str(min(max(2, cores // 2), MAX_WORKERS)), *WHOLE_FILES)
    elsewhere = ("--ignore=tests/operate", "--ignore=tests/e2e")
    # The browser tests can run alongside the others, so they need a database and indices of their own.
    apart = {
        **full,
        "DATABASE_URL": f"{full['DATABASE_URL']}_browser",
        "ELASTICSEARCH_INDEX": f"{full['ELASTICSEARCH_INDEX']}-browser",
    }
    production = {
        "ALLOWED_HOSTS": "precedent.example",
        "BASE_URL": "https://precedent.example",
        **full,
    }
    # The longest come first, except the embedded mode: it can use whatever is free at the end.
    return [
        Step("services", services_command("up"), dict(environ), light=True),
        Step("environment", ("scripts/environment", "test"), dict(environ), light=True),
        Step("browser", ("scripts/browser",), dict(environ), light=True),
        tests(
            *("tests, full mode", "-m", "not sqlite_only", *elsewhere, *in_parallel),
            needs=("services",),
            **full,
        ),
        tool("ruff check", "ruff", "check", "."),
        tool("ruff format", "ruff", "format", "--check", "."),
        tool("import directions", "lint-imports"),
        tool("mypy", "mypy"),
        tool("migrations", python, "manage.py", "makemigrations", "--check", "--dry-run"),
        tool(
            "deployment check",
            python,
            "manage.py",
            "check",
            "--deploy",
            "--fail-level",
            "WARNING",
            **production,
        ),
        tests("tests, browser", "tests/e2e", needs=("services", "browser"), **apart),
        tests("tests, operations", "tests/operate", needs=()),
        tests(
            *("tests, embedded mode", "-m", "not postgres_only", *elsewhere, *in_parallel),
            needs=(),
        ),
    ]


def services_command(*words: str) -> tuple[str, ...]:
    """Uses the Python that runs this and was checked by scripts/python; `python3` on the PATH may be too old."""
    return (sys.executable, "scripts/services", *words)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def isolated_urls(root: Path, services: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """URLs with a database and a Redis number for this checkout alone: another may be testing on the same servers.

    Variables that are set in `environ` are left out.
    """
    number = _number(root)
    paths = {"DATABASE_URL": f"/precedent_{number:08x}", "CELERY_BROKER_URL": f"/{number % 15 + 1}"}
    return {
        variable: urlunsplit(urlsplit(services[variable])._replace(path=path))
        for variable, path in paths.items()
        if not environ.get(variable)
    }


def _number(root: Path) -> int:
    """A number of 32 bits for this checkout alone."""
    return int(hashlib.sha256(str(root).encode()).hexdigest()[:8], 16)


def parse_exports(text: str) -> dict[str, str]:
    """The variables that `scripts/services env` prints."""
    words = [word for line in text.splitlines() for word in shlex.split(line) if "=" in word]
    return dict(word.split("=", 1) for word in words)


def _judge(report: Path, *, may_be_empty: bool) -> Callable[[int, str], str]:
    """A skipped test counts as a failure: all services are there, so no test has a reason to skip."""

    def judge(code: int, output: str) -> str:
        if code == 5:
            return "" if may_be_empty else "no tests were found"
        if code:
            return _last_line(output)
        skipped = report.read_text().count('<skipped type="pytest.skip"')
        return f"{skipped} skipped, which counts as a failure" if skipped else ""

    return judge


def _last_line(output: str) -> str:
    lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
    return lines[-1] if lines else ""
