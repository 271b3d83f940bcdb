"""Tags follow the text and the rules, by way of the outbox, and end up in the search index."""

from __future__ import annotations

import pytest

from incidents import outbox_consumer
from incidents.actions.incidents import delete_incident
from incidents.actions.lifecycle import publish
from incidents.actions.organizations import change_organization
from incidents.actions.sections import change_section
from incidents.models import AuditEntry, Incident, OutboxEntry
from incidents.scopes import Viewer
from kb import tasks
from kb.patterns import decisions, tagging, vocabulary
from kb.patterns.anchors import Anchor, find
from kb.patterns.matcher import Rules
from kb.patterns.models import Pattern, Tag
from kb.patterns.reading import documents, fields
from kb.patterns.rules import read
from kb.search import relay
from kb.search.models import SearchDocument
from tests.patterns.conftest import NO_STORM, STORM, state, tag, write
from tests.patterns.vocabularies import folder_of, pattern


def waiting(consumer):
    return set(OutboxEntry.objects.filter(consumer=consumer).values_list("incident_id", flat=True))


def shown(incident):
    found = SearchDocument.objects.get(pk=incident.pk).shown
    return found["patterns"], found["suggested_patterns"]


def test_a_published_postmortem_gets_its_tags_with_the_sentences_that_show_them(tagged):
    incident = tagged()
    found = tag(incident)
    assert (found.source, found.state, found.score) == ("rule", "automatic", 2.0)
    assert found.rule_version == Pattern.objects.get(slug="retry-storm").rule_version
    (anchor,) = map(Anchor.read, found.evidence)
    text = fields(documents([incident.pk])[incident.pk])[anchor.field]
    assert text[slice(*find(anchor, text))] == STORM


def test_a_draft_that_was_never_published_is_tagged_from_its_draft(tagger, cast, draft):
    incident = draft()
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=STORM)
    tagging.drain()
    assert state(incident) == ("rule", "automatic")


def test_a_reopened_postmortem_is_tagged_from_what_readers_see(cast, tagged):
    incident = tagged(NO_STORM)
    write(cast, incident, STORM)
    tagging.drain()
    assert state(incident) is None
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    tagging.drain()
    assert state(incident) == ("rule", "automatic")


def test_a_tag_is_withdrawn_when_its_sentence_is_gone_and_comes_back_with_it(cast, tagged):
    incident = tagged()
    for text, expected in ((NO_STORM, "withdrawn"), (STORM, "automatic")):
        write(cast, incident, text)
        publish(actor=cast.viewer("lead"), incident_id=incident.pk)
        tagging.drain()
        assert state(incident) == ("rule", expected)


def test_evidence_moves_with_its_sentence(cast, tagged):
    incident = tagged()
    write(cast, incident, f"It began at noon. {STORM}")
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    tagging.drain()
    (anchor,) = tag(incident).evidence
    assert (anchor["start"], anchor["quote"]) == (len("It began at noon. "), STORM)


def test_a_run_that_finds_nothing_to_change_writes_nothing(tagged):
    incident = tagged()
    before = (
        list(Tag.objects.values_list("pk", "updated_at")),
        AuditEntry.objects.count(),
        Incident.objects.get(pk=incident.pk).index_version,
    )
    OutboxEntry.objects.all().delete()
    tagging.tag_incidents([incident.pk])
    assert before == (
        list(Tag.objects.values_list("pk", "updated_at")),
        AuditEntry.objects.count(),
        Incident.objects.get(pk=incident.pk).index_version,
    )
    assert not OutboxEntry.objects.exists()


def test_changes_by_the_tagger_are_enqueued_for_the_index_but_not_for_the_tagger(tagger, published):
    incident = published(text=STORM)
    OutboxEntry.objects.all().delete()
    tagging.tag_incidents([incident.pk])
    assert (waiting("database_index"), waiting("tagger")) == ({incident.pk}, set())


def test_a_batch_leaves_one_audit_entry_that_says_what_changed(tagger, published):
    first, second = published(text=STORM), published("Another", text=STORM)
    tagging.tag_incidents([first.pk, second.pk])
    (entry,) = AuditEntry.objects.filter(action="tags.changed")
    assert entry.actor.is_system
    assert entry.change["incidents"][str(second.pk)]["retry-storm"] == "automatic"
    assert set(entry.change["incidents"]) == {str(first.pk), str(second.pk)}


def test_an_incident_that_changes_while_it_is_read_is_left_to_its_new_entry(tagger, published, monkeypatch):
    incident = published(text=STORM)
    plan_changes = tagging.plan_changes

    def meanwhile(active, ids):
        found = plan_changes(active, ids)
        values = {"name": "Acme, by another name"}
        change_organization(actor=Viewer.system(), organization_id=incident.organization_id, values=values)
        return found

    OutboxEntry.objects.all().delete()
    monkeypatch.setattr(tagging, "plan_changes", meanwhile)
    tagging.tag_incidents([incident.pk])
    assert state(incident) is None
    assert waiting("tagger") == {incident.pk}
    monkeypatch.undo()
    tagging.drain()
    assert state(incident) == ("rule", "automatic")


def test_a_deleted_incident_is_not_tagged(cast, tagger, published):
    incident = published(text=STORM)
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert tagging.drain() > 0
    assert not Tag.objects.filter(incident=incident).exists()


def test_search_documents_list_tags_and_suggestions_separately(cast, tagger, published):
    sure, unsure = published(text=STORM), published("Another", text=NO_STORM)
    tasks.relay()
    assert shown(sure) == (["retry-storm"], [])
    assert shown(unsure) == ([], ["code-deploy"])
    decisions.confirm(actor=cast.viewer("author"), incident_id=unsure.pk, slug="code-deploy")
    decisions.reject(actor=cast.viewer("author"), incident_id=sure.pk, slug="retry-storm", reason="No load came of it.")
    tasks.relay()
    assert shown(unsure) == (["code-deploy"], [])
    assert shown(sure) == ([], [])


def test_one_relay_tags_and_indexes_and_empties_the_outbox(tagger, published):
    published(text=STORM)
    tasks.relay()
    assert not OutboxEntry.objects.exists()


def test_a_worker_with_other_rules_than_the_vocabulary_leaves_the_work_to_others(tagger, published):
    incident = published(text=STORM)
    Pattern.objects.filter(slug="retry-storm").update(rule_digest="of a later rule")
    with pytest.raises(tagging.RulesMismatch):
        tagging.tag_incidents([incident.pk])
    assert outbox_consumer.run_once("tagger", tagging.tag_incidents) == 0
    entries = OutboxEntry.objects.filter(consumer="tagger", incident_id=incident.pk)
    assert set(entries.values_list("tries", "parked_at")) == {(0, None)}
    assert not Tag.objects.exists()


def test_rules_of_patterns_that_are_not_in_use_tag_nothing(tagger, published):
    Pattern.objects.filter(slug="retry-storm").update(status="retired")
    incident = published(text=STORM)
    tagging.drain()
    assert state(incident) is None


def test_without_a_vocabulary_there_is_nothing_to_tag(cast, settings, published):
    settings.OUTBOX_CONSUMERS = ["tagger", "database_index"]
    published(text=STORM)
    assert tagging.drain() == 1
    assert not Tag.objects.exists()
    assert not waiting("tagger")


@pytest.fixture
def rules(tagger, tmp_path):
    """Load a vocabulary with a single rule that has these phrases; returns the rules."""

    def load(*phrases):
        folder = folder_of(tmp_path / "patterns", empty_tank=pattern(rule__groups__named__any=list(phrases)))
        vocabulary.load(actor=Viewer.system(), folder=folder)
        return Rules(definition.rule for definition in read(folder))

    return load


def test_a_rejected_tag_is_suggested_again_by_a_later_rule_with_a_new_sentence(cast, rules, published):
    incident = published(text="The tank was empty. The well was dry.")
    tagging.tag_incidents([incident.pk], rules=rules("tank was empty"))
    decisions.reject(actor=cast.viewer("author"), incident_id=incident.pk, slug="empty-tank", reason="It was another.")
    tagging.tag_incidents([incident.pk], rules=rules("tank ..2 empty"))
    assert state(incident, "empty-tank") == ("rule", "rejected")
    tagging.tag_incidents([incident.pk], rules=rules("tank ..2 empty", "well was dry"))
    assert state(incident, "empty-tank") == ("rule", "suggested")


def test_a_tag_suggested_again_keeps_its_rejection_until_a_person_changes_it(cast, rules, published):
    incident, empty_tank = published(text="The tank was empty. The well was dry."), {"slug": "empty-tank"}
    tagging.tag_incidents([incident.pk], rules=rules("tank was empty"))
    decisions.reject(actor=cast.viewer("author"), incident_id=incident.pk, reason="It was another.", **empty_tank)
    later = rules("tank was empty", "well was dry")
    pattern = Pattern.objects.get(slug="empty-tank")
    for _ in range(2):
        tagging.tag_incidents([incident.pk], rules=later)
        again = tag(incident, "empty-tank")
        assert (again.state, again.decided_by, again.reason) == ("suggested", cast.author, "It was another.")
        assert decisions.precision(cast.viewer("reader"), pattern) == decisions.Precision(confirmed=0, rejected=1)
    decisions.confirm(actor=cast.viewer("author"), incident_id=incident.pk, **empty_tank)
    assert decisions.precision(cast.viewer("reader"), pattern) == decisions.Precision(confirmed=1, rejected=0)


@pytest.mark.parametrize(
    ("step", "quotes"),
    [
        ("reject", ["The well was dry.", "The tank was empty."]),
        ("confirm", ["The well was dry."]),
        ("undo", ["The well was dry."]),
    ],
)
def test_a_decision_about_a_tag_suggested_again_covers_the_sentences_that_were_shown(
    cast, rules, published, step, quotes
):
    incident, actor = published(text="The tank was empty. The well was dry."), cast.viewer("author")
    chosen = {"actor": actor, "incident_id": incident.pk, "slug": "empty-tank"}
    tagging.tag_incidents([incident.pk], rules=rules("tank was empty"))
    decisions.reject(**chosen, reason="It was another.")
    tagging.tag_incidents([incident.pk], rules=rules("well was dry"))
    again = tag(incident, "empty-tank")
    assert [anchor["quote"] for anchor in again.shown_evidence] == ["The well was dry."]
    getattr(decisions, step)(**chosen, **({"reason": "Neither."} if step == "reject" else {}))
    decided = tag(incident, "empty-tank")
    assert [anchor["quote"] for anchor in decided.evidence] == quotes
    assert decided.evidence == decided.shown_evidence
    tagging.tag_incidents([incident.pk], rules=rules("tank was empty", "well was dry"))
    assert state(incident, "empty-tank")[1] == {"reject": "rejected", "confirm": "confirmed"}.get(step, "automatic")


def test_a_tag_added_by_hand_and_rejected_is_suggested_only_by_a_later_rule(cast, rules, published):
    incident, empty_tank = published(text="The tank was full."), {"slug": "empty-tank"}
    found = rules("well was dry")
    decisions.add(actor=cast.viewer("author"), incident_id=incident.pk, **empty_tank)
    decisions.reject(actor=cast.viewer("author"), incident_id=incident.pk, reason="It was full.", **empty_tank)
    write(cast, incident, "The well was dry.")
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    tagging.tag_incidents([incident.pk], rules=found)
    assert state(incident, "empty-tank") == ("person", "rejected")
    tagging.tag_incidents([incident.pk], rules=rules("well was dry", "well ..3 dry"))
    assert state(incident, "empty-tank") == ("rule", "suggested")


def test_the_nightly_check_finds_differing_tags_and_has_them_corrected(tagged):
    fine, lost, wrong = tagged(), tagged(title="Lost"), tagged(NO_STORM, title="Wrong")
    Tag.objects.filter(incident=lost).delete()
    storm = Pattern.objects.get(slug="retry-storm")
    Tag.objects.create(incident=wrong, pattern=storm, source="rule", state="automatic", rule_version=1, score=9)
    Pattern.objects.update(rule_applied=1)
    OutboxEntry.objects.all().delete()
    # Rewriting this row moves it to the end of the table, so the order of the result is not accidental.
    Incident.objects.filter(pk=lost.pk).update(title="Lost again")
    assert tagging.check_consistency() == [lost.pk, wrong.pk]
    assert waiting("tagger") == {lost.pk, wrong.pk}
    assert not waiting("database_index")
    assert tagging.check_consistency() == []
    tagging.drain()
    assert [state(one)[1] for one in (fine, lost, wrong)] == ["automatic", "automatic", "withdrawn"]
    assert tagging.check_consistency() == []


def test_the_number_of_queries_does_not_grow_with_the_batch(tagger, published, django_assert_max_num_queries):
    ids = [published(f"Gateway was slow {n}", text=STORM).pk for n in range(6)]
    with django_assert_max_num_queries(24):
        tagging.tag_incidents(ids)
    assert Tag.objects.filter(pattern__slug="retry-storm").count() == 6


def test_the_relay_of_the_engines_leaves_the_taggers_entries_alone(tagger, published):
    incident = published(text=STORM)
    relay.drain()
    assert waiting("tagger") == {incident.pk}
