"""A changed rule is run on every incident, by any number of workers and even if they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from incidents.models import AuditEntry, Incident, OutboxEntry
from incidents.scopes import Viewer
from kb import tasks
from kb.patterns import retagging, tagging, vocabulary
from kb.patterns.matcher import Rules
from kb.patterns.models import Pattern, Retag, RetagBatch, Tag
from kb.patterns.rules import read
from tests.patterns.conftest import NO_STORM, STORM, state
from tests.patterns.vocabularies import folder_of, pattern

TANK, WELL = "The tank was empty.", "The well was dry."


@pytest.fixture
def rules(cast, tmp_path):
    """Load a vocabulary of two patterns; the first one is found by these phrases."""

    def load(*phrases):
        folder = folder_of(
            tmp_path / "patterns",
            empty_tank=pattern(rule__groups__named__any=list(phrases)),
            dry_well=pattern(rule__groups__named__any=["well ..2 dry"]),
        )
        vocabulary.load(actor=Viewer.system(), folder=folder)
        return Rules(definition.rule for definition in read(folder))

    return load


@pytest.fixture
def several(published, monkeypatch):
    """Five postmortems, in batches of two."""
    for module in (retagging, tagging):
        monkeypatch.setattr(module, "BATCH", 2)
    return [published(f"Number {n}", text=f"{TANK} {WELL}") for n in range(5)]


def tags(slug):
    return set(Tag.objects.filter(pattern__slug=slug).values_list("incident_id", flat=True))


def test_new_rules_are_run_on_every_incident(rules, several):
    wanted = rules("tank ..2 empty")
    assert retagging.work(rules=wanted) == 5
    assert tags("empty-tank") == tags("dry-well") == {incident.pk for incident in several}
    assert not RetagBatch.objects.exists()
    assert set(Pattern.objects.values_list("rule_applied", flat=True)) == {1}
    assert set(OutboxEntry.objects.filter(consumer="database_index").values_list("incident_id", flat=True)) == {
        incident.pk for incident in several
    }


def test_only_the_changed_rule_is_run_again(rules, several):
    retagging.work(rules=rules("tank ..2 empty"))
    Tag.objects.filter(pattern__slug="dry-well").delete()
    wanted = rules("tank ..3 empty")
    assert retagging.begin().patterns == {"empty-tank": 2}
    assert retagging.work(rules=wanted) == 5
    assert set(Tag.objects.filter(pattern__slug="empty-tank").values_list("rule_version", flat=True)) == {2}
    assert not tags("dry-well")


def test_when_no_rule_changed_there_is_nothing_to_do(rules, several):
    wanted = rules("tank ..2 empty")
    retagging.work(rules=wanted)
    rules("tank ..2 empty")
    assert retagging.begin() is None
    assert retagging.work(rules=wanted) == 0
    assert Retag.objects.count() == 1


def test_each_batch_and_the_start_and_end_of_the_round_leave_one_audit_entry_each(rules, several):
    retagging.work(rules=rules("tank ..2 empty"))
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions.count("tags.changed") == 3
    assert actions[-5:] == ["patterns.retagging", *["tags.changed"] * 3, "patterns.retagged"]
    assert Retag.objects.get().finished_at is not None


def test_two_workers_share_the_batches(rules, several):
    wanted = rules("tank ..2 empty")
    retag = retagging.begin()
    assert retagging.begin() == retag
    held = retagging._claim_batch(retag)
    assert retagging.work(rules=wanted) == 3
    assert Retag.objects.get().finished_at is None
    assert list(RetagBatch.objects.all()) == [held]


def test_the_batch_of_a_killed_worker_is_processed_once_its_lease_expires(rules, several):
    wanted = rules("tank ..2 empty")
    retagging._claim_batch(retagging.begin())
    retagging.work(rules=wanted)
    assert len(tags("empty-tank")) == 3
    RetagBatch.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert retagging.work(rules=wanted) == 2
    assert len(tags("empty-tank")) == 5
    assert Retag.objects.get().finished_at is not None


def test_a_rule_that_changes_during_a_round_starts_a_new_round(rules, several):
    first = rules("tank ..2 empty")
    retagging.begin()
    retagging.work(rules=first, seconds=0)
    wanted = rules("no such thing at all")
    assert retagging.work(rules=wanted) == 5
    assert not tags("empty-tank")
    assert len(tags("dry-well")) == 5
    assert Pattern.objects.get(slug="empty-tank").rule_applied == 2


def test_a_worker_whose_time_is_up_leaves_the_remaining_batches(rules, several):
    wanted = rules("tank ..2 empty")
    assert retagging.work(rules=wanted, seconds=0) == 0
    assert RetagBatch.objects.count() == 3
    assert retagging.work(rules=wanted, seconds=600) == 5


def test_a_worker_with_older_rules_does_not_begin(rules, several):
    older = rules("tank ..2 empty")
    rules("tank ..3 empty")
    with pytest.raises(tagging.RulesMismatch):
        retagging.work(rules=older)
    assert RetagBatch.objects.count() == 3
    assert not Tag.objects.exists()


def test_the_nightly_check_is_skipped_while_a_round_is_in_progress(tagger, published):
    published(text=STORM)
    OutboxEntry.objects.all().delete()
    retagging.begin()
    assert tagging.check_consistency() == []
    retagging.work()
    Tag.objects.all().delete()
    assert len(tagging.check_consistency()) == 1


def test_the_scheduled_task_runs_a_round(tagger, published):
    incident = published(text=STORM)
    assert tasks.retag() == 1
    assert state(incident) == ("rule", "automatic")
    assert tasks.retag() == 0


def test_the_command_loads_the_vocabulary_and_runs_the_changed_or_the_named_rules(cast, published):
    incident = published(text=STORM)

    def retag(*arguments):
        out = StringIO()
        call_command("retag", *arguments, stdout=out)
        return out.getvalue().strip()

    assert retag() == "Patterns: 35 rules run on 1 incident."
    assert state(incident) == ("rule", "automatic")
    assert retag() == "Patterns: no rules changed."
    Tag.objects.all().delete()
    assert retag("retry-storm") == "Patterns: 1 rule run on 1 incident."
    assert state(incident) == ("rule", "automatic")
    with pytest.raises(CommandError, match="no-such-pattern"):
        retag("no-such-pattern")


# --- With workers that are really killed -------------------------------------------------
def _worker(folder):
    """A process that runs the shipped rules in batches of one and pauses in the transaction of each batch."""
    code = """
import time
import django
django.setup()
from kb.patterns import retagging, tagging
retagging.BATCH = tagging.BATCH = 1
write_plans = retagging.write_plans
def slowly(*arguments):
    done = write_plans(*arguments)
    time.sleep(0.15)
    return done
retagging.write_plans = slowly
print(retagging.work(), flush=True)
"""
    database = connection.settings_dict
    who, where = f"{database['USER']}:{database['PASSWORD']}", f"{database['HOST']}:{database['PORT']}"
    url = f"postgres://{who}@{where}/{database['NAME']}"
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "kb.settings", "LOG_LEVEL": "ERROR"}
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=env)


@pytest.mark.slow
@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_round_survives_the_killing_of_its_workers(cast, published, pytestconfig):
    vocabulary.load(actor=Viewer.system())
    stormy = [published(f"Gateway {n}", text=STORM) for n in range(12)]
    calm = published("Calm", text=NO_STORM)
    for _ in range(2):
        worker = _worker(pytestconfig.rootpath)
        before = Tag.objects.count()
        limit = time.monotonic() + 60
        while Tag.objects.count() < before + 2 and time.monotonic() < limit:
            time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=10)
    assert 0 < len(tags("retry-storm")) < 12
    assert Retag.objects.get().finished_at is None
    RetagBatch.objects.update(leased_until=None)
    worker = _worker(pytestconfig.rootpath)
    assert worker.wait(timeout=120) == 0
    assert tags("retry-storm") == {incident.pk for incident in stormy}
    assert state(calm) is None
    assert Retag.objects.get().finished_at is not None
    # Each incident was tagged exactly once: it appears in the audit entry of one batch only.
    said = [pk for entry in AuditEntry.objects.filter(action="tags.changed") for pk in entry.change["incidents"]
            if "retry-storm" in entry.change["incidents"][pk]]  # fmt: skip
    assert sorted(map(int, said)) == sorted(incident.pk for incident in stormy)
    assert Incident.objects.count() == 13
