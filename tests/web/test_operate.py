"""/healthz and /metrics: little for strangers, everything for operators, and an answer in bounded time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.parser import text_string_to_metric_families

from incidents import outbox
from incidents.models import OutboxEntry
from kb.api.tokens import create_token
from kb.web import operate
from tests.routes import every_route

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-the-scraper"


# The permission matrix of routes that are neither pages nor REST: the status by user and origin of the request.
#                     anonymous outsider reader author lead admin
NOBODY = "404 404 404 404 404 404"
EVERYBODY = "200 200 200 200 200 200"
ONLY_READ = "405 405 405 405 405 405"
MATRIX = {
    # What admins see in addition is tested below.
    ("GET", "/healthz", "elsewhere"): EVERYBODY,
    ("POST", "/healthz", "elsewhere"): ONLY_READ,
    ("GET", "/metrics", "elsewhere"): NOBODY,
    ("GET", "/metrics", "this machine"): EVERYBODY,
    ("GET", "/metrics", "elsewhere, with the token for it"): EVERYBODY,
    ("POST", "/metrics", "this machine"): ONLY_READ,
    ("GET", "/api/v1", "elsewhere"): NOBODY,
    ("POST", "/api/v1", "elsewhere"): NOBODY,
}


def test_every_route_outside_of_pages_and_rest_has_a_row_and_every_row_a_route():
    others = {route.path for route in every_route() if not route.is_rest and not route.is_page}
    assert others == {path for _, path, _ in MATRIX}


@pytest.mark.parametrize(("method", "path", "place"), MATRIX)
def test_everyone_gets_exactly_what_the_matrix_says(cast, browser, settings, method, path, place):
    settings.METRICS_TOKEN = TOKEN
    sent = {"REMOTE_ADDR": "127.0.0.1" if place == "this machine" else "192.0.2.7"}
    if "token" in place:
        sent["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    people = ("anonymous", "outsider", "reader", "author", "lead", "admin")
    got = [str(browser(person).generic(method, path, **sent).status_code) for person in people]
    assert " ".join(got) == MATRIX[method, path, place]


def health(client, **headers):
    response = client.get("/healthz", headers=headers)
    return response.status_code, response.json()


# --- /healthz --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["anonymous", "outsider", "reader", "author", "lead"])
def test_only_admins_learn_more_than_whether_the_service_works(cast, browser, name):
    assert health(browser(name)) == (200, {"ok": True})


@pytest.mark.django_db(transaction=True)
def test_an_admin_sees_the_state_of_every_part(cast, draft, browser, indexed):
    draft()
    OutboxEntry.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    status, report = health(browser("admin"))
    assert status == 200
    assert report["ok"] is True
    assert report["database"]["ok"] is True
    assert report["broker"]["ok"] is True
    assert report["engine"]["ok"] is True
    assert report["engine"]["name"] == report["database"]["engine"]
    entry = next(depth for depth in report["outbox"] if depth["consumer"] == "database_index")
    assert entry["waiting"] == 1
    assert entry["lag_seconds"] >= 90
    assert report["parked"] == 0
    OutboxEntry.objects.update(parked_at=timezone.now())
    assert health(browser("admin"))[1]["parked"] == 1
    OutboxEntry.objects.update(parked_at=None)
    indexed()
    depths = health(browser("admin"))[1]["outbox"]
    assert [(depth["waiting"], depth["lag_seconds"]) for depth in depths] == [(0, 0.0)]


@pytest.mark.django_db(transaction=True)
def test_an_admins_token_shows_the_full_report_and_other_users_tokens_do_not(cast):
    secrets = {name: create_token(actor=cast.viewer(name), name="health")[1] for name in ("admin", "lead")}
    assert "outbox" in health(Client(), authorization=f"Bearer {secrets['admin']}")[1]
    assert health(Client(), authorization=f"Bearer {secrets['lead']}") == (200, {"ok": True})
    assert health(Client(), authorization="Bearer precedent_nonsense") == (200, {"ok": True})


def test_an_unresponsive_database_is_a_503_without_details(cast, browser, monkeypatch):
    def fails():
        raise OperationalError("password=secret")

    monkeypatch.setattr(operate, "_database", fails)
    assert health(browser("anonymous")) == (503, {"ok": False})
    assert health(browser("admin")) == (503, {"ok": False})


def test_an_unreachable_database_is_reported_quickly_and_does_not_block_a_scraper(tmp_path):
    env = {
        **os.environ,
        "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
        "SECRET_KEY": "k7Qd" * 12 + "abcdefgh",
        "VAR_DIR": str(tmp_path),
        "LOG_FORMAT": "json",
    }
    ask = """
import json, time
from kb.wsgi import application
from django.test import Client
client = Client(raise_request_exception=False, headers={"host": "localhost"})
client.cookies["sessionid"] = "s" * 32  # a signed-in user
for path in ("/healthz", "/metrics"):
    began = time.monotonic()
    response = client.get(path)
    print(json.dumps([response.status_code, response.content.decode(), time.monotonic() - began]))
"""
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    health, metrics = map(json.loads, done.stdout.splitlines())
    assert (health[0], json.loads(health[1])) == (503, {"ok": False})
    assert metrics[0] == 200
    assert "django_http_requests_total" in metrics[1]
    assert "precedent_outbox" not in metrics[1]
    assert max(health[2], metrics[2]) < operate.SECONDS_PER_CHECK + 1.5


def test_all_code_that_answers_requests_is_imported_before_the_first_one(tmp_path):
    look = """
import sys
import kb.wsgi
from django.conf import settings
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
before = set(sys.modules)
for path in ("/search?q=dns", "/api/v1/nowhere"):
    Client(raise_request_exception=False).get(path)
print(*(name for name in set(sys.modules) - before if name.startswith(("kb.", "incidents.", "rest_framework"))))
"""
    env = {**os.environ, "DATABASE_URL": "", "VAR_DIR": str(tmp_path), "SECRET_KEY": "k7Qd" * 12 + "abcdefgh"}
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_a_hanging_check_is_abandoned_in_time():
    release = threading.Event()

    def hangs():
        release.wait(30)
        return {}

    began = time.monotonic()
    answer = operate.run_check(hangs, seconds=0.2)
    took = time.monotonic() - began
    release.set()
    assert answer == {"ok": False, "error": "no answer within 0.2 s"}
    assert took < 2


def test_both_the_result_and_the_error_of_a_check_are_reported():
    def breaks():
        raise OperationalError("host=secret")

    assert operate.run_check(lambda: {"name": "x"}) == {"ok": True, "name": "x"}
    assert operate.run_check(breaks) == {"ok": False, "error": "OperationalError"}


# --- /metrics --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "header", "status"),
    [
        ("127.0.0.1", "", 200),
        ("127.0.0.53", "", 200),
        ("::1", "", 200),
        ("::ffff:127.0.0.1", "", 200),
        ("::ffff:192.0.2.7", "", 404),
        ("192.0.2.7", "", 404),
        ("not an address", "", 404),
        ("192.0.2.7", f"Bearer {TOKEN}", 200),
        ("192.0.2.7", f"bearer {TOKEN}", 200),
        ("192.0.2.7", "Bearer wrong", 404),
        ("192.0.2.7", f"Basic {TOKEN}", 404),
        ("192.0.2.7", "Bearer ", 404),
        ("127.0.0.1", "Bearer wrong", 404),
    ],
)
def test_metrics_need_the_token_or_a_local_request(db, settings, address, header, status):
    settings.METRICS_TOKEN = TOKEN
    headers = {"authorization": header} if header else {}
    assert Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code == status


def test_without_a_token_in_the_settings_no_bearer_token_works_from_elsewhere(db, settings):
    settings.METRICS_TOKEN = ""
    for header in ("Bearer", "Bearer ", "Bearer x"):
        assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics", headers={"authorization": header}).status_code == 404


def test_a_forged_forwarding_header_does_not_make_a_request_local(db):
    client = Client(REMOTE_ADDR="192.0.2.7")
    assert client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 404


@pytest.mark.parametrize(
    "sign", ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip", "via"]
)
@pytest.mark.parametrize("trusted", [[], ["127.0.0.0/8"]])
def test_behind_a_local_proxy_no_request_is_local_and_the_token_still_works(db, settings, sign, trusted):
    settings.METRICS_TOKEN = TOKEN
    settings.TRUSTED_PROXIES = trusted
    for value in ("", "127.0.0.1"):
        assert Client().get("/metrics", headers={sign: value}).status_code == 404
    assert Client().get("/metrics", headers={sign: "", "authorization": f"Bearer {TOKEN}"}).status_code == 200


def outbox_metrics(consumer: str = "database_index") -> dict[str, float]:
    """The outbox gauges of one consumer, by name without prefix."""
    families = text_string_to_metric_families(Client().get("/metrics").content.decode())
    return {
        sample.name.removeprefix("precedent_outbox_"): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("precedent_outbox_") and sample.labels["consumer"] == consumer
    }


def test_metrics_show_how_far_the_index_is_behind(cast, draft):
    draft()
    OutboxEntry.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    found = outbox_metrics()
    assert 90 <= found.pop("lag_seconds") < 120
    assert found == {"waiting": 1, "retrying": 0, "tries": 0, "parked": 0, "paused": 0}


def test_metrics_show_when_nothing_is_waiting(db):
    assert set(outbox_metrics().values()) == {0}


def test_metrics_distinguish_an_unreachable_consumer_from_rejected_entries(cast, draft):
    one, other = draft(), draft()
    outbox.release(outbox.claim("database_index"), reason="nobody answers")
    assert outbox_metrics()["paused"] == 1
    claim = outbox.claim("database_index")
    for _ in range(2):
        outbox.reject(claim, one.pk, "no date")
        OutboxEntry.objects.filter(incident_id=one.pk).update(not_before=None)
        outbox.complete(claim, [other.pk])
        claim = outbox.claim("database_index")
    found = outbox_metrics()
    assert {name: found[name] for name in ("waiting", "retrying", "tries", "parked", "paused")} == {
        "waiting": 1,
        "retrying": 1,
        "tries": 2,
        "parked": 0,
        "paused": 0,
    }


def test_metrics_show_parked_entries(cast, draft, settings):
    settings.OUTBOX_TRIES = 1
    incident = draft()
    outbox.reject(outbox.claim("database_index"), incident.pk, "no date")
    found = outbox_metrics()
    assert (found["parked"], found["waiting"]) == (1, 0)


def test_metrics_count_requests(db, browser):
    browser("anonymous").get("/")
    families = text_string_to_metric_families(Client().get("/metrics").content.decode())
    assert any(family.name.startswith("django_http_requests") for family in families)


SCRAPE_TWICE = """
import os
from kb.wsgi import application
from django.test import Client
from incidents import outbox
from kb.search.breaker import Breaker

waiting, breaks = int(os.environ["WAITING"]), int(os.environ["BREAKS"])
outbox.depths = lambda: [outbox.Depth(name, waiting) for name in ("tagger", "database_index")]
if breaks:
    Breaker(lambda: False).failed("nobody answers")
for _ in range(2):
    print(Client(headers={"host": "localhost"}).get("/metrics").content.decode(), end="\\0")
print(os.getpid())
"""


def test_each_metric_is_reported_once_however_often_it_is_scraped_and_whichever_process_ended(tmp_path):
    """In multiprocess mode, as under gunicorn, where each process has its own files in one shared directory."""
    counts = tmp_path / "metrics"
    counts.mkdir()
    env = {**os.environ, "DATABASE_URL": "", "VAR_DIR": str(tmp_path), "PROMETHEUS_MULTIPROC_DIR": str(counts)}

    def scrapes(*, waiting: int, breaks: int) -> list[str]:
        """Two scrapes of a process that has ended and been marked as dead by the time they are returned."""
        env.update(WAITING=str(waiting), BREAKS=str(breaks))
        done = subprocess.run(
            [sys.executable, "-c", SCRAPE_TWICE], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        *texts, pid = done.stdout.split("\0")
        mark_process_dead(int(pid), str(counts))
        return texts

    def told(text: str) -> dict[tuple[str, ...], float]:
        families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert sorted(families) == sorted(set(families))
        return {
            (sample.name, *(f"{name}={value}" for name, value in sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in ("precedent_outbox_waiting", "precedent_search_breaker_open")
        }

    def expected(*, waiting: int, breaks: int) -> dict[tuple[str, ...], float]:
        return {
            ("precedent_outbox_waiting", "consumer=tagger"): waiting,
            ("precedent_outbox_waiting", "consumer=database_index"): waiting,
            ("precedent_search_breaker_open",): breaks,
        }

    for now in ({"waiting": 1, "breaks": 1}, {"waiting": 0, "breaks": 0}):
        for text in scrapes(**now):
            assert told(text) == expected(**now)
