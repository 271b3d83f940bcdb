"""Re-tagging every incident after one rule has changed, with several worker processes.

All rules run once before the first round, so that the incidents carry their tags. Each round then raises the version of
one rule without changing what it finds: every incident is read, and every tag of the rule gets its new version.
"""

from __future__ import annotations

import subprocess
import sys
import time

from django.db.models import F

from benches.figures import Figure
from chaos.services import ROOT
from incidents.models import Incident, OutboxEntry
from incidents.scopes import Viewer
from kb.patterns import retagging, vocabulary
from kb.patterns.models import Pattern, Tag

# One of the most frequent patterns in the corpus.
CHANGED = "config-change"
WORK = "import django; django.setup(); from kb.patterns import retagging; retagging.work()"


def run(rounds: int, workers: int) -> list[Figure]:
    vocabulary.load(actor=Viewer.system())
    total = Incident.objects.count()
    first = _seconds(workers) if retagging.begin() else None
    tagged = Tag.objects.filter(pattern__slug=CHANGED).exclude(state="withdrawn").count()
    lasted = []
    for _ in range(rounds):
        Pattern.objects.filter(slug=CHANGED).update(rule_version=F("rule_version") + 1)
        lasted.append(_seconds(workers))
    # The entries are not needed: the index is rebuilt from the record before it is measured.
    OutboxEntry.objects.all().delete()
    with_workers = f"{total:,} incidents, {workers} workers"
    out = [Figure(f"re-tag after one changed rule, {with_workers}, {tagged:,} tags", "s", lasted, most=120)]
    if first is not None:
        out.insert(0, Figure(f"first tagging with all rules, {with_workers}", "s", [first]))
    return out


def _seconds(workers: int) -> float:
    began = time.monotonic()
    processes = [subprocess.Popen([sys.executable, "-c", WORK], cwd=ROOT) for _ in range(workers)]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError(f"the workers ended with exit codes {codes}")
    if retagging.begin() is not None:
        raise RuntimeError("the workers ended before the round was finished")
    return time.monotonic() - began
