"""The vocabulary as files and as rows."""

from __future__ import annotations

import pytest
from django.db import transaction

from incidents.errors import Invalid, NotAllowed
from incidents.models import AuditEntry, OutboxEntry
from incidents.scopes import Viewer
from kb.patterns import vocabulary
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from kb.search.models import SearchDocument
from tests.conftest import in_another_connection
from tests.patterns.vocabularies import PATTERN, folder_of, pattern


@pytest.fixture
def load(db, tmp_path):
    def load(**patterns):
        return vocabulary.load(actor=Viewer.system(), folder=folder_of(tmp_path / "patterns", **patterns))

    return load


def test_the_projects_own_files_load_whole_and_loading_them_again_writes_nothing(db):
    system = Viewer.system()
    assert vocabulary.load(actor=system) == len(vocabulary.read()) == 35
    assert set(Pattern.objects.values_list("slug", flat=True)) == vocabulary.slugs()
    entries = AuditEntry.objects.count()
    assert vocabulary.load(actor=system) == 0
    assert AuditEntry.objects.count() == entries


def test_a_pattern_has_what_counts_what_does_not_and_advice(load):
    load(empty_tank=pattern())
    found = Pattern.objects.get(slug="empty-tank")
    assert (found.name, found.family, found.counts, found.does_not_count, found.advice) == (
        PATTERN["name"], PATTERN["family"], PATTERN["counts"], PATTERN["not"], PATTERN["advice"],
    )  # fmt: skip


def test_a_changed_definition_raises_the_version_of_that_pattern_alone(load):
    load(empty_tank=pattern(), dry_well=pattern())
    assert load(empty_tank=pattern(counts="A tank turned out to be empty."), dry_well=pattern()) == 1
    assert dict(Pattern.objects.values_list("slug", "version")) == {"empty-tank": 2, "dry-well": 1}


def test_only_a_changed_rule_raises_the_version_of_the_rule(load):
    load(empty_tank=pattern())
    load(empty_tank=pattern(counts="A tank turned out to be empty."))
    assert Pattern.objects.get().rule_version == 1
    load(empty_tank=pattern(rule__words={"tank": ["tank", "cistern"]}))
    assert Pattern.objects.get().rule_version == 2
    assert Pattern.objects.get().version == 3


def test_a_pattern_whose_file_is_gone_stays(load):
    load(empty_tank=pattern(), dry_well=pattern())
    assert load(empty_tank=pattern()) == 0
    assert Pattern.objects.filter(slug="dry-well", status="active").exists()


def test_a_pattern_can_be_merged_into_another_and_back(load):
    load(empty_tank=pattern(), dry_well=pattern())
    assert load(empty_tank=pattern(), dry_well=pattern(merged_into="empty-tank")) == 1
    old = Pattern.objects.select_related("merged_into").get(slug="dry-well")
    assert (old.status, old.merged_into.slug) == ("merged", "empty-tank")
    assert load(empty_tank=pattern(), dry_well=pattern(merged_into="empty-tank")) == 0
    load(empty_tank=pattern(), dry_well=pattern())
    old.refresh_from_db()
    assert (old.status, old.merged_into) == ("active", None)


def test_incidents_that_carry_a_pattern_shown_otherwise_are_indexed_again(load, published):
    load(empty_tank=pattern())
    incident, other = published(), published("Another")
    carried = Pattern.objects.get(slug="empty-tank")
    Tag.objects.create(incident=incident, pattern=carried, source="rule", state="automatic")
    OutboxEntry.objects.all().delete()
    version = incident.index_version
    load(empty_tank=pattern(counts="A tank turned out to be empty."))
    assert not OutboxEntry.objects.exists()
    load(empty_tank=pattern(family="load"))
    incident.refresh_from_db()
    assert incident.index_version == version + 1
    assert set(OutboxEntry.objects.values_list("incident_id", flat=True)) == {incident.pk}
    assert other.pk != incident.pk


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_what_is_tagged_and_indexed_before_the_vocabulary_is_committed_is_indexed_again(load, published):
    load(empty_tank=pattern())
    incident, carried = published(), Pattern.objects.get(slug="empty-tank")

    def tag_and_index():
        Tag.objects.create(incident=incident, pattern=carried, source="rule", state="automatic")
        relay.drain()

    with transaction.atomic():
        load(empty_tank=pattern(family="load"))
        assert in_another_connection(tag_and_index) == []
        assert "load" not in SearchDocument.objects.get().shown["families"]
    relay.drain()
    assert "load" in SearchDocument.objects.get().shown["families"]


def test_a_wrong_vocabulary_is_refused_as_a_whole_and_names_the_files(load):
    with pytest.raises(Invalid) as refused:
        load(empty_tank=pattern(), dry_well=pattern(family="weather"), lost_key=pattern(merged_into="no-such-pattern"))
    assert set(refused.value.fields) == {"dry-well.yaml", "lost-key.yaml"}
    assert not Pattern.objects.exists()


def test_only_admins_load_it(cast):
    with pytest.raises(NotAllowed):
        vocabulary.load(actor=cast.viewer("lead"))
