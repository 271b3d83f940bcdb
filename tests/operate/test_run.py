"""`make run` reports each problem in one clear line, and leaves nothing behind when it stops."""

from __future__ import annotations

import json
import os
import re
import resource
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from kb.search.query import MAX_TEXT
from tests.curl import Curl, commands

from .conftest import ROOT, Started, wait_until

Refused = Callable[..., str]


@pytest.fixture
def refused(plain: dict[str, str]) -> Refused:
    """Start with these variables; returns the one line that explains the refusal."""

    def start(**env: str) -> str:
        done = subprocess.run(
            ["scripts/run"], cwd=ROOT, env={**plain, **env}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode != 0
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    return start


def test_a_port_in_use_is_reported(refused: Refused, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(PORT=str(port), VAR_DIR=str(tmp_path))
    assert f"port {port} on 127.0.0.1 is in use" in line


def test_a_port_that_is_not_a_number_is_reported(refused: Refused, tmp_path: Path) -> None:
    assert "PORT is '80a'" in refused(PORT="80a", VAR_DIR=str(tmp_path))


def test_an_unwritable_folder_is_reported(refused: Refused, tmp_path: Path, free_port: int) -> None:
    # Permissions would not stop root, so a file takes the folder's place.
    obstacle = tmp_path / "var"
    obstacle.write_text("")
    assert f"{obstacle} is a file" in refused(VAR_DIR=str(obstacle), PORT=str(free_port))
    assert "cannot be written to" in refused(VAR_DIR=str(obstacle / "deeper"), PORT=str(free_port))


def no_room() -> None:
    """Keep files from growing, which fails in the same places as a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_is_reported(plain: dict[str, str], tmp_path: Path, free_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/serving"],
        cwd=ROOT,
        env={**plain, "VAR_DIR": str(tmp_path), "PORT": str(free_port)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=no_room,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"run: the data folder {tmp_path} cannot be written to (")
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_python_that_is_too_old_is_reported(refused: Refused, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    old = programs / "python3"
    old.write_text(f"#!{shutil.which('bash')}\n[[ $2 == *exit* ]] && exit 1\necho 3.9.2\n")
    old.chmod(0o755)
    line = refused(PATH=str(programs), PYTHON="python3", VAR_DIR=str(tmp_path))
    assert "Python 3.11 or newer is required" in line
    assert "3.9.2" in line


def test_the_systems_python_is_preferred_to_others_on_the_path_unless_it_is_incomplete(tmp_path: Path) -> None:
    other = tmp_path / "python3"
    other.write_text(
        f"#!{shutil.which('bash')}\n[[ $2 == *exit* ]] && exit\n[[ $2 == *executable* ]] && echo other || echo 3.99.0\n"
    )
    other.chmod(0o755)

    def chosen(**env: str) -> str:
        path = f"{tmp_path}:{os.environ['PATH']}"
        env = {"PATH": path, **env}
        return subprocess.run(["scripts/python"], cwd=ROOT, env=env, capture_output=True, text=True).stdout.strip()

    system = subprocess.run(["bash", "-c", "command -pv python3"], capture_output=True, text=True).stdout.strip()
    complete = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    usable = bool(system) and subprocess.run([system, "-c", complete], capture_output=True).returncode == 0
    assert chosen() == (system if usable else "other")
    assert chosen(PYTHON="python3") == "other"
    spaced = tmp_path / "c py"
    spaced.mkdir()
    (spaced / "python3").symlink_to(other)
    assert chosen(PYTHON=str(spaced / "python3")) == "other"


HEALTHZ_COUNT = r'django_http_requests_total_by_view_transport_method_total\{[^}]*view="healthz"[^}]*\} (\S+)'


class Run:
    """A running `make run`, and its output."""

    def __init__(self, process: subprocess.Popen[str], var: Path, log: Path, port: int) -> None:
        self.process, self.var, self.port = process, var, port
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text()

    def ready(self) -> bool:
        assert self.process.poll() is None, self.output
        return f"Precedent is ready: http://127.0.0.1:{self.port}" in self.output

    def end(self, seconds: float = 15.0) -> int:
        return self.process.wait(timeout=seconds)


def heeds_ctrl_c() -> None:
    """Start it as a terminal would. A shell that runs the tests in the background makes them ignore SIGINT, and no bash
    below could change that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def running(plain: dict[str, str], var: Path, port: int, *, seconds: float) -> Iterator[Run]:
    log = var.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            ["scripts/run"],
            cwd=ROOT,
            env={**plain, "VAR_DIR": str(var), "PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heeds_ctrl_c,
        )
    run = Run(process, var, log, port)
    try:
        wait_until(run.ready, "the address", seconds)
        yield run
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=20)


def answers_long_searches(address: str) -> None:
    """Searches of 10,000 characters, which take three, nine or twelve times as many in a URL."""
    for character in ('"', "\u969c", "\U0001f525"):
        query = quote(f"timeout {character}".ljust(MAX_TEXT, character))
        with urlopen(f"{address}/api/v1/search?q={query}", timeout=20) as answer:
            assert "results" in json.load(answer)
        page = f"{address}/search?q={query}"
        # As htmx requests the page again when a filter is set.
        asked = Request(page, headers={"HX-Request": "true", "HX-Current-URL": page})
        for request in (page, asked):
            with urlopen(request, timeout=20) as answer:
                assert answer.headers.get_content_type() == "text/html"
                # The search box accepts more than is searched; the page says so if it left something out.
                box = re.search(r'id="search-box".*?maxlength="(\d+)"', answer.read().decode())
                assert box is not None
                assert int(box[1]) > MAX_TEXT


def logs_requests_as_json_and_no_secret(run: Run) -> None:
    secret = "a-secret-that-lets-somebody-in-0123456789"
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{run.port}/invitations/{secret}", timeout=5)

    def told() -> list[dict[str, Any]]:
        texts = [line.partition(" | ")[2] for line in run.output.splitlines() if "/invitations/" in line]
        lines: list[dict[str, Any]] = [json.loads(text) for text in texts]
        return [line for line in lines if line["event"] in ("request_started", "request_finished")]

    wait_until(lambda: len(told()) == 2, "both lines of the request", 5)
    started, finished = told()
    assert started["request_id"]
    assert started["request_id"] == finished["request_id"]
    assert finished["code"] == 404
    assert secret not in run.output


def keeps_the_connection_of_a_refused_request_or_says_that_it_does_not(run: Run) -> None:
    """A client that was told the connection is kept will send its next request on it."""
    refused = {"Authorization": "Bearer precedent_nobodys", "Content-Type": "application/json"}
    connection = HTTPConnection("127.0.0.1", run.port, timeout=20)
    for size in (150_000, 3_000_000):
        connection.request("POST", "/api/v1/incidents", b"x" * size, refused)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"], answer.read()[:1]) == (401, "keep-alive", b"{")
    connection.close()
    for header in (("Content-Length", "5000000"), ("Transfer-Encoding", "chunked")):
        connection = HTTPConnection("127.0.0.1", run.port, timeout=20)
        connection.request("POST", "/api/v1/incidents", headers={**refused, **dict([header])})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (401, "close")
        connection.close()


def answers_the_commands_of_the_readme(run: Run) -> None:
    """Runs each `curl` as written, except for the port and the token, which the account page would have created."""
    address = f"http://127.0.0.1:{run.port}"
    section = (ROOT / "README.md").read_text().split("## REST", 1)[1].split("```sh", 1)[1].split("```", 1)[0]
    search, create = commands(section.replace("http://127.0.0.1:8000", address), TOKEN=_token(run))
    # The famous outages are found as soon as the worker has indexed them.
    wait_until(lambda: _sent(search)["total"] > 0, "the famous outages in the index")
    assert "retry-storm" in _sent(search)["results"][0]["patterns"]
    made = _sent(create)
    assert (made["title"], made["team"]["slug"], made["status"]) == ("Checkout returned errors", "engineering", "draft")
    # The command has an idempotency key, so it can be sent again.
    assert _sent(create)["ref"] == made["ref"]


def finds_something_with_each_search_of_the_readme(run: Run) -> None:
    section = (ROOT / "README.md").read_text().split("## Search", 1)[1].split("```", 2)[1]
    for line in section.strip().splitlines():
        with urlopen(f"http://127.0.0.1:{run.port}/api/v1/search?q={quote(line)}", timeout=20) as answer:
            assert json.load(answer)["total"] > 0, line


def _sent(command: Curl) -> Any:
    request = Request(command.address, command.body, command.headers, method=command.method)
    with urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def _token(run: Run) -> str:
    """A token created with the address and password that the first start printed."""
    address = f"http://127.0.0.1:{run.port}"
    browser = build_opener(HTTPCookieProcessor(cookies := CookieJar()))
    browser.open(f"{address}/sign-in", timeout=20).close()

    def post(path: str, body: bytes, **headers: str) -> bytes:
        csrf = next(cookie.value or "" for cookie in cookies if "csrf" in cookie.name)
        request = Request(f"{address}{path}", body, {"X-CSRFToken": csrf, "Referer": address, **headers})
        with browser.open(request, timeout=20) as answer:
            return bytes(answer.read())

    email, password = (re.search(words, run.output) for words in (r"Sign in as +(\S+)", r"Password +(\S+)"))
    assert email is not None
    assert password is not None
    post("/sign-in", urlencode({"username": email[1], "password": password[1]}).encode())
    asked = json.dumps({"name": "curl", "scope": "write"}).encode()
    made = post("/api/v1/tokens", asked, **{"Content-Type": "application/json", "Idempotency-Key": "one"})
    return str(json.loads(made)["token"])


def has_open(started: Started, name: str) -> bool:
    """Whether one of the processes has a file open whose name begins like this."""
    descriptors = (fd for pid in started.processes() for fd in Path(f"/proc/{pid}/fd").iterdir())
    return any(Path(os.path.realpath(fd)).name.startswith(name) for fd in descriptors)


def reads_on_a_disk_without_room(run: Run, started: Started) -> None:
    """For a while, no file of web, worker or beat can grow. Another process writes their output."""
    pages = [f"http://127.0.0.1:{run.port}/{path}" for path in ("healthz", "incidents", "api/v1/search?q=timeout")]

    def read() -> None:
        for page in pages:
            with urlopen(page, timeout=20) as answer:
                assert answer.status == 200

    read()
    # Until they are ready, the processes create files that they need.
    wait_until(lambda: re.search(r"celery@\S+ ready", run.output), "the worker")
    wait_until(lambda: has_open(started, "celerybeat-schedule"), "beat")
    ready, queue = time.time(), run.var / "broker" / "queue"
    wait_until(lambda: queue.stat().st_mtime > ready, "a nudge")
    ours = [pid for pid, line in started.processes().items() if "gunicorn" in line or "celery" in line]
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)) for pid in ours}
    wait_until(lambda: run.output.count("SchedulingError") > 1, "beat to find no room", 30)
    for _ in range(5):
        read()
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert run.process.poll() is None, run.output


def test_a_start_behind_a_proxy_announces_the_address_that_people_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Picky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Host"] == "precedent.example" else 400)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    monkeypatch.syspath_prepend(str(ROOT / "scripts/serving"))
    serving = runpy.run_path(str(ROOT / "scripts/serving/__main__.py"), run_name="serving")
    with ThreadingHTTPServer(("127.0.0.1", 0), Picky) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = serving["Place"](var=tmp_path, host="127.0.0.1", port=server.server_port)
        serving["announce"](place)
        monkeypatch.setenv("BASE_URL", "https://precedent.example")
        serving["announce"](place)
        server.shutdown()
    refused, ready = capsys.readouterr().out.splitlines()
    assert refused == f"Precedent answers on http://127.0.0.1:{place.port}, but /healthz returns 400."
    assert ready == "Precedent is ready: https://precedent.example  (press Ctrl-C to stop)"


@pytest.mark.slow
def test_a_start_a_stop_and_a_second_start(
    plain: dict[str, str], started: Started, refused: Refused, tmp_path: Path, free_port: int
) -> None:
    var = tmp_path / "var"
    env = {**plain, "LOG_FORMAT": "json", "GUNICORN_CMD_ARGS": "--workers 2"}
    with running(env, var, free_port, seconds=180) as run:
        with urlopen(f"http://127.0.0.1:{free_port}/healthz", timeout=5) as answer:
            assert answer.status == 200
        assert started.one("gunicorn")
        assert started.one("celery", "worker")
        assert started.one("celery", "beat")
        first = run.output
        assert "password" in first.lower()
        assert "WARNING" not in first
        # The database holds drafts, password hashes and sessions, and other users may share the machine.
        assert [path.name for path in (var, *var.glob("*.sqlite3*")) if path.stat().st_mode & 0o077] == []
        for line in first.splitlines():
            name, parted, text = line.partition(" | ")
            assert not parted or json.loads(text), name

        # Whichever process answers, its metrics cover all of them.
        address = f"http://127.0.0.1:{free_port}"
        for _ in range(20):
            urlopen(f"{address}/healthz", timeout=5).close()
        told = {urlopen(f"{address}/metrics", timeout=5).read().decode() for _ in range(6)}
        counts = {int(float(count)) for text in told for count in re.findall(HEALTHZ_COUNT, text)}
        assert len(counts) == 1
        assert counts.pop() >= 21

        answers_long_searches(address)
        logs_requests_as_json_and_no_secret(run)
        keeps_the_connection_of_a_refused_request_or_says_that_it_does_not(run)
        answers_the_commands_of_the_readme(run)
        finds_something_with_each_search_of_the_readme(run)

        # A second start in the same folder, as by a user who forgot about another terminal.
        assert f"already running in {var}" in refused(VAR_DIR=str(var), PORT=str(free_port + 1))

        # Ctrl-C reaches the whole foreground process group, which contains only the script itself.
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.end() == 0
        assert "run: stopped." in run.output
        assert started.processes() == {}

    # This takes seconds on an idle machine, but the machine may be busy.
    with running(plain, var, free_port, seconds=45) as run:
        assert "password" not in run.output.lower()

        reads_on_a_disk_without_room(run, started)

        # A process that dies is named, and everything else stops with it.
        os.kill(started.one("celery", "worker"), signal.SIGKILL)
        assert run.end() == 1
        assert "run: worker was killed by SIGKILL, so everything was stopped." in run.output
        assert started.processes() == {}


@pytest.mark.slow
def test_it_stops_when_asked_at_any_moment_during_startup(
    plain: dict[str, str], started: Started, tmp_path: Path, free_port: int
) -> None:
    for moment in (0.1, 0.4, 0.8, 1.2):
        process = subprocess.Popen(
            ["scripts/run"],
            cwd=ROOT,
            env={**plain, "VAR_DIR": str(tmp_path / "var"), "PORT": str(free_port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=heeds_ctrl_c,
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=15)
        wait_until(lambda: not started.processes(), "all processes to exit", 5)
