"""Settings are documented, and refused when unsafe."""

from __future__ import annotations

import errno
import json
import os
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connection
from django.test import Client

from kb import settings as source
from kb.checks import production_is_safe
from kb.environment import Environment, own_address

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "DEBUG": False,
    "HOST": "0.0.0.0",
    "SECRET_KEY": "k3y-" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "ALLOWED_HOSTS": ["precedent.example"],
    "BASE_URL": "https://precedent.example",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "INFO",
    "TRUSTED_PROXIES": ["10.0.0.0/8"],
}


def problems(settings, **changes):
    for name, value in {**SAFE, **changes}.items():
        setattr(settings, name, value)
    return {problem.id for problem in production_is_safe(None)}


def test_safe_settings_pass(settings):
    assert problems(settings) == set()


def test_the_embedded_mode_on_this_machine_passes(settings):
    assert (
        problems(settings, BASE_URL="http://127.0.0.1:8000", ALLOWED_HOSTS=["127.0.0.1", "localhost", "[::1]"]) == set()
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"BASE_URL": "precedent.example"}, "kb.E001"),
        ({"SECRET_KEY": ""}, "kb.E002"),
        ({"SECRET_KEY": "short"}, "kb.E003"),
        ({"SECRET_KEY": "a" * 60}, "kb.E003"),
        ({"ALLOWED_HOSTS": ["*"]}, "kb.E004"),
        ({"DEBUG": True}, "kb.E005"),
        ({"BASE_URL": "http://precedent.example"}, "kb.E006"),
        ({"BASE_URL": "http://127.0.0.1:8000"}, "kb.E007"),
        ({"ALLOWED_HOSTS": ["other.example"]}, "kb.E008"),
        ({"LOG_FORMAT": "xml"}, "kb.E009"),
        ({"TRUSTED_PROXIES": ["proxy"]}, "kb.E010"),
        ({"LOG_LEVEL": "VERBOSE"}, "kb.E011"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "kb.E012"),
        ({"BASE_URL": "http://[::1"}, "kb.E001"),
        ({"BASE_URL": "http://127.0.0.1:abc"}, "kb.E001"),
        ({"BASE_URL": "https://precedent.example/kb"}, "kb.E023"),
        ({"BASE_URL": "https://precedent.example?"}, "kb.E023"),
        ({"BASE_URL": "https://precedent.example#top"}, "kb.E023"),
        ({"BASE_URL": "https://user:secret@precedent.example"}, "kb.E023"),
        ({"UNUSABLE_VARIABLES": {"HTTPS_REDIRECT": "true or false"}}, "kb.E014"),
        ({"AXES_FAILURE_LIMIT": 0}, "kb.E015"),
        ({"AXES_FAILURE_LIMIT": -1}, "kb.E015"),
        ({"DATABASE_POOL_SIZE": 0}, "kb.E015"),
        ({"DATABASE_URL": "foo"}, "kb.E016"),
        ({"DATABASE_URL": "postgresql://"}, "kb.E016"),
        ({"DATABASE_URL": "postgresql://host:port/name"}, "kb.E016"),
        ({"DATABASE_URL": "mysql://u:p@host/name"}, "kb.E016"),
        ({"DATABASE_URL": "sqlite"}, "kb.E016"),
        ({"DATABASE_URL": "sqlite://"}, "kb.E016"),
        ({"DATABASE_URL": "sqlite:///"}, "kb.E016"),
        ({"DATABASE_URL": "sqlite:////var/lib/"}, "kb.E016"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "kb.E016"),
        ({"ELASTICSEARCH_URL": "localhost:9200"}, "kb.E017"),
        ({"ELASTICSEARCH_URL": "garbage"}, "kb.E017"),
        ({"ELASTICSEARCH_URL": "http://127.0.0.1:abc"}, "kb.E017"),
        ({"ELASTICSEARCH_INDEX": "Bad"}, "kb.E018"),
        ({"ELASTICSEARCH_CA": "/nonexist"}, "kb.E019"),
        ({"CELERY_BROKER_URL": "localhost:6379"}, "kb.E022"),
        ({"EMAIL_URL": "garbage"}, "kb.E021"),
        ({"ADMIN_EMAIL": "garbage"}, "kb.E024"),
        ({"ORGANIZATION_NAME": " "}, "kb.E025"),
        ({"ORGANIZATION_NAME": "x" * 121}, "kb.E025"),
        ({"ADMIN_EMAIL": "Ada <ada@acme.example>"}, "kb.E024"),
    ],
)
def test_unsafe_settings_refuse_to_start(settings, changes, problem):
    assert problem in problems(settings, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"DATABASE_URL": "postgresql://user:p%2Fw@host:5432/name"},
        {"BASE_URL": "HTTPS://precedent.example:8443"},
        {"DATABASE_URL": "postgresql:///name"},
        {"DATABASE_URL": "sqlite:////var/lib/precedent.sqlite3"},
        {"DATABASE_URL": "sqlite:///precedent.sqlite3"},
        {"ADMIN_EMAIL": "Ada@Acme.example"},
        {"ELASTICSEARCH_URL": "https://precedent:a%2Fb@[::1]:9200/path"},
        {"CELERY_BROKER_URL": "redis://:password@redis:6379/0"},
        {"EMAIL_URL": "smtp+tls://user:password@mail.example:587"},
    ],
)
def test_addresses_in_the_documented_forms_pass(settings, changes):
    assert problems(settings, **changes) == set()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "0.0.0.0", "::"])
def test_links_in_responses_lead_to_what_make_run_serves_unless_base_url_is_set(host):
    place = runpy.run_path(str(ROOT / "scripts/serving/place.py"))["Place"]
    assert own_address(host, 8001) == place(var=ROOT, host=host, port=8001).address
    env = {**os.environ, "BASE_URL": "", "HOST": host, "PORT": "8001", "DJANGO_SETTINGS_MODULE": "kb.settings"}
    show = "from django.conf import settings; print(settings.BASE_URL)"
    done = subprocess.run([sys.executable, "-c", show], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == own_address(host, 8001), done.stderr


def generated_key(folder, monkeypatch):
    monkeypatch.setattr(source, "VAR_DIR", folder)
    return source._generated_secret_key()


def test_the_embedded_mode_generates_one_key_that_only_its_owner_can_read(tmp_path, monkeypatch):
    folder = tmp_path / "var"
    key = generated_key(folder, monkeypatch)
    assert len(key) >= 50
    assert generated_key(folder, monkeypatch) == key
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [("secret-key", 0o600)]


def test_a_start_that_fails_on_a_full_disk_leaves_no_key_that_would_break_the_next(tmp_path, monkeypatch):
    def full(path, text):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(SystemExit, match="No space left on device"):
            generated_key(tmp_path, patched)
    assert len(generated_key(tmp_path, monkeypatch)) >= 50


def test_an_empty_key_file_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "secret-key").touch()
    assert len(generated_key(tmp_path, monkeypatch)) >= 50


def test_processes_that_start_concurrently_share_one_key(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "VAR_DIR", tmp_path)
    together = Barrier(8)

    def start(_):
        together.wait()
        return source._generated_secret_key()

    with ThreadPoolExecutor(8) as processes:
        assert len(set(processes.map(start, range(8)))) == 1


def test_variables_are_read_as_people_write_them(monkeypatch):
    given = {"A": " one , two,", "B": "", "C": "ture", "D": "No", "E": "eight", "F": "8", "G": "0", "H": "65536"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    env = Environment()
    assert env.list("A", default=[]) == ["one", "two"]
    assert (env.str("B", default="b"), env.int("B", default=1), env.bool("B", default=True)) == ("b", 1, True)
    assert (env.bool("C", default=True), env.bool("D", default=True)) == (True, False)
    assert (env.int("E", default=7), env.int("F", default=7)) == (7, 8)
    assert [env.port(name, default=8000) for name in ("B", "E", "F", "G", "H")] == [8000, 8000, 8, 8000, 8000]
    number = "a number from 1 to 65535"
    assert env.unusable == {"C": "true or false", "E": number, "G": number, "H": number}


@pytest.mark.parametrize(("host", "found"), [("0.0.0.0", {"kb.E005"}), ("::", {"kb.E005"}), ("127.0.0.1", set())])
def test_debug_pages_are_refused_on_an_address_that_others_can_reach(settings, host, found):
    this_machine = {"ALLOWED_HOSTS": ["localhost"], "BASE_URL": "http://localhost:8000"}
    assert problems(settings, DEBUG=True, HOST=host, **this_machine) == found


PROCESSES = [*(ROOT / "Procfile").read_text().splitlines(), "manage: exec python manage.py check"]


def test_no_process_starts_through_a_shebang_with_the_path_of_the_clone():
    """A shebang breaks if the path contains a quote."""
    assert all(": exec python -m " in process for process in PROCESSES[:-1])


@pytest.mark.parametrize("process", PROCESSES, ids=lambda line: line.partition(":")[0])
def test_every_process_refuses_unsafe_settings_and_says_why(tmp_path, process):
    unsafe = {"DEBUG": "true", "ALLOWED_HOSTS": "*", "LOG_LEVEL": "verbose", "LOG_FORMAT": "console"}
    # Each of these alone would otherwise cause a traceback when the settings are read.
    unsafe |= {
        "SECRET_KEY": "k3y-abcdefghijklmnopqrstuvwxyz0123456789",
        "HTTPS_REDIRECT": "ture",
        "SIGN_IN_FAILURES": "x",
    }
    unsafe |= {"DATABASE_URL": "mysql://u:secret@h/n", "ELASTICSEARCH_URL": "http://[::1", "EMAIL_URL": "garbage"}
    here = {"VAR_DIR": str(tmp_path), "PORT": "0", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", process.partition(": ")[2]],
        cwd=ROOT,
        env={**os.environ, "CELERY_BROKER_URL": "", **here, **unsafe},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode not in (0, None)
    said = done.stdout + done.stderr
    for problem in (
        "ALLOWED_HOSTS allows every host name",
        "DEBUG is on while * is served",
        "DATABASE_URL is not a database address",
        "ELASTICSEARCH_URL is not a web address",
        "EMAIL_URL is not the address of a mail server",
        "HTTPS_REDIRECT is not true or false",
        "SIGN_IN_FAILURES is not a whole number",
        "PORT is not a number from 1 to 65535",
        "LOG_LEVEL is VERBOSE",
        "Set LOG_LEVEL to DEBUG, INFO, WARNING or ERROR",
    ):
        assert said.count(problem) == 1, said
    assert "Traceback" not in said
    assert "secret" not in said


def test_a_database_url_without_a_file_is_refused_before_any_file_is_created(tmp_path):
    env = {
        **os.environ,
        "DATABASE_URL": "sqlite://",
        "VAR_DIR": str(tmp_path / "var"),
        "SECRET_KEY": "",
    }
    for command in ("check", "migrate", "prepare"):
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "DATABASE_URL is not a database address" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["var"]


def test_every_variable_that_is_read_is_documented_and_every_documented_one_is_read():
    source = (ROOT / "kb/settings.py").read_text()
    read = set(re.findall(r"""env\.\w+\(\s*["']([A-Z_]+)["']""", source))
    elsewhere = {"OTEL_EXPORTER_OTLP_HEADERS"}
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
    assert table == read | elsewhere


def test_the_address_of_a_client_is_taken_from_trusted_proxies_only(settings, rf):
    from kb.middleware import trusted_proxy

    def address(peer, forwarded):
        seen = {}
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        headers = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https", "traceparent": "00-1-2-00"}
        request = rf.get("/", REMOTE_ADDR=peer, headers=headers)
        trusted_proxy(lambda r: seen.update(r.META))(request)
        passed = {name in seen for name in ("HTTP_X_FORWARDED_PROTO", "HTTP_TRACEPARENT")}
        return seen["REMOTE_ADDR"], *passed

    assert address("10.1.1.1", "203.0.113.9") == ("203.0.113.9", True)
    assert address("10.1.1.1", "203.0.113.9, 10.2.2.2") == ("203.0.113.9", True)
    assert address("10.1.1.1", "198.51.100.1, 203.0.113.9") == ("203.0.113.9", True)
    assert address("203.0.113.9", "10.1.1.1") == ("203.0.113.9", False)
    assert address("::ffff:10.1.1.1", "203.0.113.9, ::ffff:10.2.2.2") == ("203.0.113.9", True)
    assert address("::ffff:203.0.113.9", "") == ("203.0.113.9", False)
    assert address("10.1.1.1", "203.0.113.9:4711") == ("203.0.113.9", True)
    assert address("10.1.1.1", "198.51.100.1, [2001:db8::7]:4711, 10.2.2.2:80") == ("2001:db8::7", True)
    # The proxy wrote something else, so what is left of it is the client's own.
    for unknown in ("unknown", "198.51.100.1, unknown", "198.51.100.1, unknown, 10.2.2.2"):
        assert address("10.1.1.1", unknown) == ("10.1.1.1", True)


def test_untrusted_clients_cannot_claim_a_scheme_to_bypass_the_https_redirect(db, settings):
    settings.SECURE_SSL_REDIRECT, settings.TRUSTED_PROXIES = True, ["10.0.0.1"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    secure = {"x-forwarded-proto": "https"}
    assert Client(REMOTE_ADDR="203.0.113.5").get("/nowhere", headers=secure).status_code == 301
    assert Client(REMOTE_ADDR="10.0.0.1").get("/nowhere", headers=secure).status_code == 404


SHOW = """
import json, os, runpy
conf = runpy.run_path("gunicorn.conf.py")
folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
# gunicorn reads the file again when it reloads its settings.
runpy.run_path("gunicorn.conf.py")
assert os.environ.get("PROMETHEUS_MULTIPROC_DIR") == folder
found = bool(folder) and os.path.isdir(folder)
conf["on_exit"](None)
print(json.dumps([conf["workers"], folder, found, bool(folder) and os.path.exists(folder)]))
"""


def served(tmp_path, **env):
    """[number of processes, their metrics folder, whether it exists, whether it still exists after the exit]"""
    env = {**os.environ, "VAR_DIR": str(tmp_path), "CELERY_BROKER_URL": "", "GUNICORN_CMD_ARGS": "", **env}
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_several_processes_serve_only_if_they_share_request_counts(tmp_path):
    assert served(tmp_path)[0] == 1
    assert served(tmp_path, CELERY_BROKER_URL="redis://127.0.0.1:1/0")[0] == 2


def test_a_single_process_keeps_metrics_in_memory(tmp_path):
    assert served(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "inherited")) == [1, None, False, False]


@pytest.mark.parametrize(
    "env", [{"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, {"GUNICORN_CMD_ARGS": "--threads 2 -w 3"}]
)
def test_several_processes_keep_metrics_in_files_off_the_data_disk(tmp_path, env):
    _, folder, is_there, is_left = served(tmp_path, **env)
    assert (is_there, is_left) == (True, False)
    assert tmp_path not in Path(folder).parents
    if Path("/dev/shm").is_dir():
        assert Path(folder).parent == Path("/dev/shm")


@pytest.mark.sqlite_only
def test_connections_keep_the_file_open_because_opening_it_needs_disk_space(db):
    connection.ensure_connection()
    assert connection.close_at is None


def test_every_scheduled_job_exists(settings):
    from kb.celery import app

    app.loader.import_default_modules()
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)
