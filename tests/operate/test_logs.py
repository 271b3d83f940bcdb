"""The log says what it should, and says it once."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from celery.app.log import Logging
from django.test import Client

from kb.celery import app
from kb.logs import without_secrets

from .conftest import ROOT, wait_until

SEND = """
import django, structlog
django.setup()
from kb.celery import app
structlog.contextvars.bind_contextvars(request_id="the-request")
app.send_task("kb.tasks.relay")
"""


def test_a_tasks_lines_carry_the_id_of_the_request_that_triggered_it(plain: dict[str, str], tmp_path: Path) -> None:
    env = {**plain, "VAR_DIR": str(tmp_path), "LOG_FORMAT": "json", "DJANGO_SETTINGS_MODULE": "kb.settings"}
    for folder in ("queue", "control"):
        (tmp_path / "broker" / folder).mkdir(parents=True)
    log = tmp_path / "worker.log"
    with log.open("w") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "--quiet", "-A", "kb", "worker", "--pool", "solo"],
            **{"cwd": ROOT, "env": env, "stdout": out, "stderr": subprocess.STDOUT},
        )
    try:
        wait_until(lambda: "ready." in log.read_text(), "the worker")
        subprocess.run([sys.executable, "-c", SEND], cwd=ROOT, env=env, check=True)
        # The database has no tables, so the task fails, and the failure is logged.
        wait_until(lambda: "raised unexpected" in log.read_text(), "the task")
        text = log.read_text()
    finally:
        worker.terminate()
        worker.wait(20)
    # Every line is JSON, whichever library wrote it.
    lines = [json.loads(line) for line in text.splitlines()]
    (told,) = [line for line in lines if "raised unexpected" in line["event"]]
    assert told["request_id"] == "the-request"


@pytest.mark.parametrize("before", ["/invitations/", "/sign-in?next=%2Finvitations%2f", "/password/MQ/"])
def test_no_line_contains_a_secret_from_a_url(before):
    secret = "s3cr3t-that-lets-people-in"
    event = without_secrets(None, "info", {"request": f"GET {before}{secret}"})
    assert secret not in event["request"]


def test_a_workers_log_level_comes_from_the_settings_not_from_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {name: logging.getLogger(name).getEffectiveLevel() for name in ("celery", "elastic_transport", "kombu")}
    monkeypatch.setattr(Logging, "_setup", False)
    app.log.setup_logging_subsystem(loglevel=logging.DEBUG)
    assert {name: logging.getLogger(name).getEffectiveLevel() for name in levels} == levels


def test_bad_requests_are_logged_once_with_the_requests_id_and_without_a_traceback(db: None, client: Client) -> None:
    handler = next(found for found in logging.getLogger("kb").handlers if type(found) is logging.StreamHandler)
    before = handler.setStream(log := StringIO())
    try:
        client.get("/nowhere-at-all?q=secret-words", headers={"x-real-ip": "192.0.2.7"})
        client.get("/", headers={"host": "stranger.example"})
    finally:
        handler.setStream(before)
    started, finished, refused = log.getvalue().splitlines()
    for line, event in ((started, "request_started"), (finished, "request_finished")):
        assert event in line
        assert "request_id" in line
        assert "/nowhere-at-all" in line
        assert "secret-words" not in line, "people's searches are private"
        assert "192.0.2.7" not in line, "the address is not what the client claims"
    assert "warning" in refused
    assert "stranger.example" in refused
