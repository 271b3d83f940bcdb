"""Loading the vocabulary from files into rows."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from incidents.actions.change import lock_incident
from incidents.errors import Invalid, NotAllowed
from incidents.models import AuditEntry, OutboxEntry, User
from incidents.scopes import Viewer
from kb.patterns import decisions, tagging, vocabulary
from kb.patterns.actions import curate
from kb.patterns.anchors import Anchor
from kb.patterns.matcher import Rules
from kb.patterns.models import Pattern, Tag
from kb.patterns.rules import in_use, read
from kb.search import relay
from kb.search.models import SearchDocument
from tests.conftest import in_another_connection
from tests.patterns.vocabularies import PATTERN, folder_of, pattern


@pytest.fixture
def load(db, tmp_path):
    def load(**patterns):
        return vocabulary.load(actor=Viewer.system(), folder=folder_of(tmp_path / "patterns", **patterns))

    return load


def test_the_shipped_files_load_completely_and_loading_them_again_writes_nothing(db):
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


def test_a_pattern_is_merged_only_into_one_in_use(load):
    for other in (pattern(merged_into="empty-tank"), pattern(status="retired")):
        with pytest.raises(Invalid) as refused:
            load(empty_tank=pattern(merged_into="dry-well"), dry_well=other)
        assert "no pattern dry-well in use" in str(refused.value.fields["empty-tank.yaml"])


MERGED = {"empty_tank": pattern(), "dry_well": pattern(merged_into="empty-tank")}


def test_the_tags_of_a_merged_pattern_move_to_its_target(load, published):
    load(empty_tank=pattern(), dry_well=pattern())
    incident, kept = published(), Pattern.objects.get(slug="empty-tank")
    Tag.objects.create(incident=incident, pattern=Pattern.objects.get(slug="dry-well"), source="curator",
                       state="confirmed", evidence=[{"quote": "It was dry."}])  # fmt: skip
    relay.drain()
    load(**MERGED)
    assert [(tag.pattern, tag.state, tag.evidence) for tag in incident.tags.all()] == [
        (kept, "confirmed", [{"quote": "It was dry."}])
    ]
    relay.drain()
    assert SearchDocument.objects.get().shown["patterns"] == ["empty-tank"]
    entry = AuditEntry.objects.get(action="tags.merged")
    assert entry.change == {"slug": "dry-well", "into": "empty-tank", "incidents": [incident.pk]}
    load(**MERGED)
    assert AuditEntry.objects.filter(action="tags.merged").count() == 1


@pytest.mark.parametrize(
    ("one", "other", "stays"),
    [
        (("curator", "confirmed", False), ("rule", "automatic", False), "curator"),
        (("rule", "rejected", True), ("curator", "confirmed", False), "curator"),
        (("curator", "confirmed", False), ("rule", "confirmed", True), "rule"),
        (("rule", "automatic", False), ("person", "rejected", True), "person"),
        (("rule", "suggested", True), ("model", "automatic", False), "rule"),
        (("rule", "suggested", True), ("curator", "confirmed", False), "curator"),
        (("rule", "withdrawn", False), ("curator", "confirmed", False), "curator"),
    ],
)
def test_of_two_merged_tags_the_stronger_one_stays_whichever_pattern_had_it(cast, load, published, one, other, stays):
    load(empty_tank=pattern(), dry_well=pattern())
    for first, second in ((one, other), (other, one)):
        load(empty_tank=pattern(), dry_well=pattern())
        incident = published()
        for slug, (source, state, is_decided) in (("empty-tank", first), ("dry-well", second)):
            decided = {"decided_by": cast.author, "decided_at": timezone.now()} if is_decided else {}
            carried = Pattern.objects.get(slug=slug)
            Tag.objects.create(incident=incident, pattern=carried, source=source, state=state, **decided)
        load(**MERGED)
        assert [(tag.pattern.slug, tag.source) for tag in incident.tags.all()] == [("empty-tank", stays)]


def test_the_rule_of_a_merged_pattern_finds_its_target_until_the_merge_is_undone(load, published, tmp_path):
    def tags():
        tagging.tag_incidents([incident.pk], rules=Rules(in_use(read(tmp_path / "patterns"))))
        return {(tag.pattern.slug, tag.state) for tag in incident.tags.exclude(state="withdrawn")}

    dry = pattern(rule__groups__named__any=["well was dry"])
    incident = published(text="The well was dry.")
    load(empty_tank=pattern(), dry_well=dry)
    assert tags() == {("dry-well", "automatic")}
    before = Pattern.objects.get(slug="empty-tank").rule_version
    merged = {**dry, "merged_into": "empty-tank"}
    load(empty_tank=pattern(), dry_well=merged)
    # The merge counts as a change of the rule, which must then run on every incident.
    assert Pattern.objects.get(slug="empty-tank").rule_version == before + 1
    assert tags() == {("empty-tank", "automatic")}
    Pattern.objects.update(rule_applied=F("rule_version"))
    load(empty_tank=pattern(), dry_well=dry)
    assert set(Pattern.objects.exclude(rule_applied=F("rule_version")).values_list("slug", flat=True)) == {
        "empty-tank", "dry-well",
    }  # fmt: skip
    assert tags() == {("dry-well", "automatic")}


def test_merging_a_pattern_does_not_bring_back_what_a_person_rejected(cast, load, published, tmp_path):
    dry = pattern(rule__groups__named__any=["well was dry"])
    incident = published(text="The well was dry. The tank was empty.")
    load(full_tank=pattern(rule__groups__named__any=["tank was full"]), dry_well=dry)
    for _ in range(2):
        tagging.tag_incidents([incident.pk], rules=Rules(in_use(read(tmp_path / "patterns"))))
        if tag := incident.tags.filter(state="automatic").first():
            decisions.reject(actor=cast.viewer("author"), incident_id=incident.pk, slug=tag.pattern.slug, reason="No.")
        # More certain than the other rule, with a sentence that was not shown before.
        load(full_tank=pattern(rule__groups__named__weight=3), dry_well={**dry, "merged_into": "full-tank"})
    assert [(tag.pattern.slug, tag.state) for tag in incident.tags.all()] == [("full-tank", "rejected")]


def test_moved_tags_get_the_rule_version_that_the_target_gets_in_the_same_load(load, published):
    load(**MERGED)
    late = Pattern.objects.get(slug="dry-well")
    tag = Tag.objects.create(incident=published(), pattern=late, source="rule", state="automatic", rule_version=1)
    load(empty_tank=pattern(rule__groups__named__any=["tank was dry"]), dry_well=MERGED["dry_well"])
    tag.refresh_from_db()
    assert (tag.pattern.slug, tag.rule_version) == ("empty-tank", tag.pattern.rule_version)
    assert tag.rule_version > 1


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_decision_made_while_patterns_are_being_merged_is_merged_too(cast, load, published):
    load(empty_tank=pattern(), dry_well=pattern())
    User.objects.system()
    incident = published()
    for slug in ("empty-tank", "dry-well"):
        carried = Pattern.objects.get(slug=slug)
        Tag.objects.create(incident=incident, pattern=carried, source="rule", state="automatic", rule_version=1)
    merged = []

    def merge_them():
        try:
            merged.append(load(**MERGED))
        finally:
            connection.close()

    other = threading.Thread(target=merge_them)
    with transaction.atomic():
        lock_incident(cast.viewer("author"), incident.pk)
        other.start()
        other.join(1)
        assert other.is_alive(), "it must wait for the decision made here"
        decisions.reject(actor=cast.viewer("author"), incident_id=incident.pk, slug="dry-well", reason="No.")
    other.join(30)
    assert merged
    assert [(tag.pattern.slug, tag.state) for tag in incident.tags.all()] == [("empty-tank", "rejected")]


def test_an_outage_that_names_a_merged_pattern_is_tagged_with_its_target(load, published):
    load(**MERGED)
    incident = published()
    evidence = {"dry-well": [Anchor("title", "", 0, 3, "Dry")], "empty-tank": [Anchor("title", "", 4, 9, "empty")]}
    for changed in (1, 0):
        assert curate(actor=Viewer.system(), incident=incident, evidence=evidence) == changed
    (tag,) = incident.tags.all()
    assert (tag.pattern.slug, {anchor["quote"] for anchor in tag.evidence}) == ("empty-tank", {"Dry", "empty"})


def test_incidents_are_indexed_again_when_search_shows_their_pattern_differently(load, published):
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
def test_an_incident_tagged_and_indexed_before_the_vocabulary_commits_is_indexed_again(load, published):
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


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_of_two_concurrent_loads_the_second_finds_nothing_to_write(load):
    User.objects.system()
    written = []

    def load_it_too():
        try:
            written.append(load(empty_tank=pattern()))
        finally:
            connection.close()

    other = threading.Thread(target=load_it_too)
    with transaction.atomic():
        assert load(empty_tank=pattern()) == 1
        other.start()
        other.join(1)
        assert other.is_alive(), "it must wait for the load in progress here"
    other.join(30)
    assert written == [0]


def test_an_invalid_vocabulary_is_refused_as_a_whole_and_the_files_are_named(load):
    with pytest.raises(Invalid) as refused:
        load(empty_tank=pattern(), dry_well=pattern(family="weather"), lost_key=pattern(merged_into="no-such-pattern"))
    assert set(refused.value.fields) == {"dry-well.yaml", "lost-key.yaml"}
    assert not Pattern.objects.exists()


def test_only_admins_can_load_the_vocabulary(cast):
    with pytest.raises(NotAllowed):
        vocabulary.load(actor=cast.viewer("lead"))
