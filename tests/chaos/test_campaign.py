"""The fault campaign in its short form: some of the faults, and few writes; otherwise as `make chaos` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The engine refuses; the database comes back as it was before; a worker dies in the middle of a batch.
FAULTS = (
    "elasticsearch-full",
    "database-restored",
    "worker-killed-after-write",
)


@pytest.mark.postgres_only
@pytest.mark.slow
def test_nothing_is_lost_stale_or_leaked_and_no_page_fails_whatever_goes_wrong():
    only = [word for fault in FAULTS for word in ("--only", fault)]
    size = ["--together", "--writes", "60", "--seeds", "20", "--seconds", "2", "--rest", "0.15"]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *only, *size], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": good") == len(FAULTS)
