"""The whole check: lint, types, import directions, migrations, deployment, and all tests in both modes.

Standard library only, because it first installs everything else.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import plan
import schedule

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    start = time.monotonic()
    _take_longer_turns()
    answer = subprocess.run(plan.services_command("env"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        return 1
    arguments = sys.argv[1:]
    cores = os.cpu_count() or 2
    with tempfile.TemporaryDirectory(prefix="precedent-test-") as scratch:
        services = plan.parse_exports(answer.stdout)
        steps = plan.steps(ROOT, Path(scratch), os.environ, services, arguments, cores)
        # More steps would take turns on the cores, and every switch costs the processor's caches.
        at_once = max(2, cores // 2)
        try:
            results = schedule.run(steps, ROOT, heavy_at_once=at_once, show_output=bool(arguments))
        except KeyboardInterrupt:
            print("test: interrupted", file=sys.stderr)
            return 130
    print("\nsummary")
    for step in steps:
        print(schedule.line(step, results[step.name]))
    failed = [step.name for step in steps if not results[step.name].passed]
    verdict = f"failed: {', '.join(failed)}" if failed else "everything passed"
    print(f"{verdict} ({time.monotonic() - start:.0f} s)")
    return 1 if failed else 0


def _take_longer_turns() -> None:
    """Mark this process and all that it starts as batch work, where the system knows that (Linux). They interrupt each
    other less often, which saves a few percent of the processor time."""
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(main())
