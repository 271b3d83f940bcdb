"""/healthz and /metrics: little for strangers, everything for those who operate it, and an answer in bounded time."""

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


# The permission matrix of what is neither a page nor REST: who gets what, and from where they ask.
#                     anonymous outsider reader author lead admin
NOBODY = "404 404 404 404 404 404"
EVERYBODY = "200 200 200 200 200 200"
ONLY_READ = "405 405 405 405 405 405"
MATRIX = {
    # What admins see of it more than others is below.
    ("GET", "/healthz", "elsewhere"): EVERYBODY,
    ("POST", "/healthz", "elsewhere"): ONLY_READ,
    ("GET", "/metrics", "elsewhere"): NOBODY,
    ("GET", "/metrics", "this machine"): EVERYBODY,
    ("GET", "/metrics", "elsewhere, with the token for it"): EVERYBODY,
    ("POST", "/metrics", "this machine"): ONLY_READ,
    ("GET", "/api/v1", "elsewhere"): NOBODY,
    ("POST", "/api/v1", "elsewhere"): NOBODY,
}


def test_every_route_that_is_neither_a_page_nor_rest_has_a_row_and_every_row_a_route():
    others = {route.path for route in every_route() if not route.is_rest and not route.is_page}
    assert others == {path for _, path, _ in MATRIX}


@pytest.mark.parametrize(("method", "path", "place"), MATRIX)
def test_everybody_gets_exactly_what_the_matrix_says(cast, browser, settings, method, path, place):
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
def test_nobody_but_admins_learns_more_than_whether_it_works(cast, browser, name):
    assert health(browser(name)) == (200, {"ok": True})


@pytest.mark.django_db(transaction=True)
def test_an_admin_is_told_about_every_part(cast, draft, browser, indexed):
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
def test_an_admins_token_opens_the_report_and_anybody_elses_does_not(cast):
    secrets = {name: create_token(actor=cast.viewer(name), name="health")[1] for name in ("admin", "lead")}
    assert "outbox" in health(Client(), authorization=f"Bearer {secrets['admin']}")[1]
    assert health(Client(), authorization=f"Bearer {secrets['lead']}") == (200, {"ok": True})
    assert health(Client(), authorization="Bearer precedent_nonsense") == (200, {"ok": True})


def test_a_database_that_does_not_answer_is_a_503_and_says_no_more(cast, browser, monkeypatch):
    def fails():
        raise OperationalError("password=secret")

    monkeypatch.setattr(operate, "_database", fails)
    assert health(browser("anonymous")) == (503, {"ok": False})
    assert health(browser("admin")) == (503, {"ok": False})


def test_a_database_that_nobody_reaches_is_told_at_once_and_holds_up_no_scraper(tmp_path):
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
client.cookies["sessionid"] = "s" * 32  # somebody who is signed in
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


def test_whatever_answers_is_loaded_before_the_first_request_comes(tmp_path):
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


def test_a_check_that_hangs_is_given_up_on_in_time():
    release = threading.Event()

    def hangs():
        release.wait(30)
        return {}

    began = time.monotonic()
    answer = operate.bounded(hangs, seconds=0.2)
    took = time.monotonic() - began
    release.set()
    assert answer == {"ok": False, "error": "no answer within 0.2 s"}
    assert took < 2


def test_what_a_check_says_and_what_it_breaks_with_are_both_told():
    def breaks():
        raise OperationalError("host=secret")

    assert operate.bounded(lambda: {"name": "x"}) == {"ok": True, "name": "x"}
    assert operate.bounded(breaks) == {"ok": False, "error": "OperationalError"}


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
def test_metrics_are_for_the_token_or_this_machine(db, settings, address, header, status):
    settings.METRICS_TOKEN = TOKEN
    headers = {"authorization": header} if header else {}
    assert Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code == status


def test_without_a_token_in_the_settings_no_bearer_opens_metrics_from_elsewhere(db, settings):
    settings.METRICS_TOKEN = ""
    for header in ("Bearer", "Bearer ", "Bearer x"):
        assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics", headers={"authorization": header}).status_code == 404


def test_a_forged_forwarding_header_makes_nobody_local(db):
    client = Client(REMOTE_ADDR="192.0.2.7")
    assert client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 404


@pytest.mark.parametrize(
    "sign", ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip", "via"]
)
@pytest.mark.parametrize("trusted", [[], ["127.0.0.0/8"]])
def test_behind_a_proxy_on_this_machine_nobody_is_local_and_the_token_still_opens(db, settings, sign, trusted):
    settings.METRICS_TOKEN = TOKEN
    settings.TRUSTED_PROXIES = trusted
    for value in ("", "127.0.0.1"):
        assert Client().get("/metrics", headers={sign: value}).status_code == 404
    assert Client().get("/metrics", headers={sign: "", "authorization": f"Bearer {TOKEN}"}).status_code == 200


def outbox_metrics(consumer: str = "database_index") -> dict[str, float]:
    """What /metrics says of a consumer, by the end of its name."""
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


def test_metrics_show_that_nothing_waits(db):
    assert set(outbox_metrics().values()) == {0}


def test_metrics_tell_a_consumer_that_cannot_be_reached_from_entries_that_are_refused(cast, draft):
    one, other = draft(), draft()
    outbox.release(outbox.claim("database_index"), reason="nobody answers")
    assert outbox_metrics()["paused"] == 1
    claim = outbox.claim("database_index")
    for _ in range(2):
        outbox.rejected(claim, one.pk, "no date")
        OutboxEntry.objects.filter(incident_id=one.pk).update(not_before=None)
        outbox.done(claim, [other.pk])
        claim = outbox.claim("database_index")
    found = outbox_metrics()
    assert {name: found[name] for name in ("waiting", "retrying", "tries", "parked", "paused")} == {
        "waiting": 1,
        "retrying": 1,
        "tries": 2,
        "parked": 0,
        "paused": 0,
    }


def test_metrics_show_what_was_set_aside(cast, draft, settings):
    settings.OUTBOX_TRIES = 1
    incident = draft()
    outbox.rejected(outbox.claim("database_index"), incident.pk, "no date")
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


def test_each_metric_is_told_once_however_often_it_is_asked_for_and_whichever_process_ended(tmp_path):
    """Where processes share what they count: each with files of its own in one folder, as gunicorn has them."""
    counts = tmp_path / "metrics"
    counts.mkdir()
    env = {**os.environ, "DATABASE_URL": "", "VAR_DIR": str(tmp_path), "PROMETHEUS_MULTIPROC_DIR": str(counts)}

    def scrapes(*, waiting: int, breaks: int) -> list[str]:
        """Of a process that has ended, and was taken leave of, when they are looked at."""
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
