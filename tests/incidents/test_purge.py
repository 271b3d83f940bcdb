"""Incidents that were deleted long enough ago are removed from the database for good."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command, load_command_class
from django.core.management.base import CommandError
from django.utils import timezone

from incidents.actions import purge as purging
from incidents.actions.incidents import delete_incident
from incidents.models import AuditEntry, Cause, Incident, OutboxEntry


@pytest.fixture
def deleted(cast, published):
    """An incident deleted forty days ago, one deleted just now, and one that is not deleted."""
    old, new, kept = published("Old"), published("New"), published("Kept")
    for incident in (old, new):
        delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    Incident.objects.filter(pk=old.pk).update(deleted_at=timezone.now() - timedelta(days=40))
    OutboxEntry.objects.all().delete()
    return old, new, kept


def purge(**options):
    out = StringIO()
    call_command("purge_incidents", stdout=out, **options)
    return out.getvalue()


def test_an_incident_deleted_long_ago_is_removed_with_everything_in_it(deleted):
    old, new, kept = deleted
    assert purge() == "1 incident removed.\n"
    assert set(Incident.objects.values_list("pk", flat=True)) == {new.pk, kept.pk}
    assert Cause.objects.count() == 2
    assert OutboxEntry.objects.filter(incident_id=old.pk, narrows=True).exists()
    assert AuditEntry.objects.filter(action="incident.purged", object_id=str(old.uuid)).exists()
    assert purge() == "0 incidents removed.\n"


def test_the_age_can_be_chosen(deleted):
    assert purge(older_than_days=0) == "2 incidents removed.\n"
    assert Incident.objects.get() == deleted[2]


def test_a_dry_run_names_them_and_removes_nothing(deleted):
    named, summary = purge(dry_run=True).splitlines()
    assert named.startswith(f"{deleted[0].ref} Old, deleted ")
    assert summary == "1 incident would be removed."
    assert Incident.objects.count() == 3


def test_a_dry_run_says_that_nothing_is_due(db):
    assert purge(dry_run=True) == "0 incidents would be removed.\n"


def test_the_help_says_what_the_age_means():
    command = load_command_class("incidents", "purge_incidents")
    said = " ".join(command.create_parser("manage.py", "purge_incidents").format_help().split())
    assert "deleted more than this many days ago; 30 by default" in said


@pytest.mark.parametrize("restored", [True, False])
def test_an_incident_that_another_process_purges_or_restores_first_is_left_alone(deleted, monkeypatch, restored):
    old, new, kept = deleted
    audit = purging.audit

    def audit_after_another_process(actor, action, incident, **change):
        other = Incident.objects.filter(pk__in={old.pk, new.pk} - {incident.pk})
        if restored:
            other.update(deleted_at=None)
        else:
            other.update(published_revision=None)
            other.delete()
        return audit(actor, action, incident, **change)

    monkeypatch.setattr(purging, "audit", audit_after_another_process)
    assert purge(older_than_days=0) == "1 incident removed.\n"
    assert Incident.objects.count() == (2 if restored else 1)
    assert Incident.objects.filter(pk=kept.pk).exists()


@pytest.mark.parametrize("days", [-1, 10**9])
def test_a_nonsensical_age_is_a_usage_error(db, days):
    with pytest.raises(CommandError) as stopped:
        purge(older_than_days=days)
    assert stopped.value.returncode == 2
