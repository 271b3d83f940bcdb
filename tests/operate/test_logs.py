"""What the log of a worker says of the request that gave it its work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kb.logs import without_secrets

from .conftest import ROOT, wait_until

SEND = """
import django, structlog
django.setup()
from kb.celery import app
structlog.contextvars.bind_contextvars(request_id="the-request")
app.send_task("kb.tasks.relay")
"""


def test_a_tasks_lines_carry_the_id_of_the_request_that_asked_for_it(plain: dict[str, str], tmp_path: Path) -> None:
    env = {**plain, "VAR_DIR": str(tmp_path), "LOG_FORMAT": "json", "DJANGO_SETTINGS_MODULE": "kb.settings"}
    for folder in ("queue", "control"):
        (tmp_path / "broker" / folder).mkdir(parents=True)
    log = tmp_path / "worker.log"
    with log.open("w") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "--quiet", "-A", "kb", "worker", "--pool", "solo", "--loglevel", "INFO"],
            **{"cwd": ROOT, "env": env, "stdout": out, "stderr": subprocess.STDOUT},
        )
    try:
        wait_until(lambda: "ready." in log.read_text(), "the worker")
        subprocess.run([sys.executable, "-c", SEND], cwd=ROOT, env=env, check=True)
        # There is no table for it, so it fails, which is told.
        wait_until(lambda: "raised unexpected" in log.read_text(), "the task")
    finally:
        worker.terminate()
        worker.wait(20)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if "raised unexpected" in line["event"]]
    assert told["request_id"] == "the-request"


@pytest.mark.parametrize("before", ["/invitations/", "/sign-in?next=%2Finvitations%2f", "/password/MQ/"])
def test_no_line_holds_a_secret_that_stands_in_an_address(before):
    secret = "s3cr3t-that-lets-people-in"
    event = without_secrets(None, "info", {"request": f"GET {before}{secret}"})
    assert secret not in event["request"]
