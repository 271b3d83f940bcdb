"""Patterns named in curated files become tags with evidence and never override a person's decision."""

from __future__ import annotations

import threading
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from incidents.document import build, with_all_parts
from incidents.errors import NotAllowed
from incidents.models import AuditEntry, Incident, OutboxEntry
from incidents.outages import files
from incidents.scopes import Viewer
from kb.patterns import actions, curation, decisions
from kb.patterns.anchors import Anchor, find, texts
from kb.patterns.models import Pattern, Tag
from tests.incidents.curated import OUTAGE, outage, write

SENTENCE = "Kiosks and the web shop showed an error page, and staff sold paper tickets at the piers."


def load(folder, *definitions):
    call_command("load_outages", write(folder, *definitions), stdout=StringIO())
    return with_all_parts(Incident.objects).get(origin="famous")


def states():
    return {tag.pattern.slug: (tag.source, tag.state) for tag in Tag.objects.select_related("pattern")}


@pytest.fixture
def folder(tmp_path, cast):
    return tmp_path / "outages"


def test_a_named_pattern_is_a_confirmed_tag_whose_evidence_is_in_the_text(folder):
    incident = load(folder, outage(patterns=[*OUTAGE["patterns"], {"slug": "monitoring-gap", "sentence": SENTENCE}]))
    assert states() == {"limit-reached": ("curator", "confirmed"), "monitoring-gap": ("curator", "confirmed")}
    fields = dict(texts(build(incident)))
    shown = {}
    for tag in Tag.objects.select_related("pattern"):
        (anchor,) = map(Anchor.read, tag.evidence)
        start, end = find(anchor, fields[anchor.field])
        shown[tag.pattern.slug] = (anchor.field.split("/")[0], fields[anchor.field][start:end])
    assert shown == {
        "limit-reached": ("causes", "The queue refused messages above its limit."),
        "monitoring-gap": ("sections.summary", SENTENCE),
    }


def test_tagging_raises_the_index_version_and_is_audited(folder):
    incident = load(folder, outage(patterns=[]))
    version = incident.index_version
    OutboxEntry.objects.all().delete()
    load(folder, outage())
    incident.refresh_from_db()
    assert incident.index_version > version
    assert OutboxEntry.objects.filter(incident_id=incident.pk).exists()
    assert AuditEntry.objects.get(incident=incident, action="tag.curated").change["pattern"] == "limit-reached"


def test_a_changed_choice_of_patterns_publishes_no_new_revision(folder):
    load(folder, outage())
    incident = load(folder, outage(patterns=[{"slug": "monitoring-gap", "sentence": SENTENCE}]))
    assert states() == {"limit-reached": ("curator", "withdrawn"), "monitoring-gap": ("curator", "confirmed")}
    assert incident.revisions.count() == 1


@pytest.mark.parametrize("decision", ["confirmed", "rejected"])
def test_a_persons_decision_stays(folder, cast, decision):
    load(folder, outage(patterns=[]))
    pattern = Pattern.objects.get(slug="limit-reached")
    Tag.objects.create(incident=Incident.objects.get(origin="famous"), pattern=pattern, source="person", state=decision,
                       decided_by=cast.admin, decided_at=timezone.now())  # fmt: skip
    load(folder, outage())
    assert states() == {"limit-reached": ("person", decision)}
    load(folder, outage(patterns=[]))
    assert states() == {"limit-reached": ("person", decision)}


def test_a_rules_tag_that_a_curator_names_becomes_the_curators_and_its_other_tags_stay(folder):
    incident = load(folder, outage(patterns=[]))
    for slug in ("limit-reached", "attack"):
        Tag.objects.create(incident=incident, pattern=Pattern.objects.get(slug=slug), source="rule", state="automatic",
                           rule_version=1, score=0.9)  # fmt: skip
    load(folder, outage())
    assert states() == {"limit-reached": ("curator", "confirmed"), "attack": ("rule", "automatic")}
    assert Tag.objects.get(pattern__slug="limit-reached").score is None


def test_only_the_loader_curates(folder, cast):
    incident = load(folder, outage())
    with pytest.raises(NotAllowed):
        actions.curate(actor=cast.viewer("admin"), incident=incident, evidence={})


def test_a_tag_follows_its_sentence_into_the_changed_text(folder):
    load(folder, outage())
    changed = "The queue refused all messages that were above its limit."
    causes = [OUTAGE["causes"][0], {**OUTAGE["causes"][1], "text": changed}]
    incident = load(folder, outage(causes=causes, patterns=[{"slug": "limit-reached", "sentence": changed}]))
    (anchor,) = Tag.objects.get().evidence
    assert anchor["field"] == f"causes/{incident.causes.all()[1].uuid}"
    assert anchor["quote"] == changed


def test_a_shipped_file_names_only_known_patterns_and_each_becomes_a_tag(folder):
    path = files.paths(files.FOLDER)[0]
    definition = files.read(path).definition
    load(folder, definition)
    assert set(states()) == {pattern["slug"] for pattern in definition["patterns"]} != set()


def test_an_outage_that_is_deleted_while_outages_are_curated_is_skipped(folder, monkeypatch):
    both = [outage(patterns=[]), outage(id="2021-harbour-again", patterns=[])]
    call_command("load_outages", write(folder, *both), stdout=StringIO())
    first, second = Incident.objects.filter(origin="famous").order_by("pk")
    read = curation.build

    def delete_meanwhile(incident):
        Incident.objects.filter(pk=first.pk).update(deleted_at=timezone.now())
        return read(incident)

    monkeypatch.setattr(curation, "build", delete_meanwhile)
    definitions = [outage(), outage(id="2021-harbour-again")]
    assert curation.tag_outages(Viewer.system(), definitions) == 1
    assert [tag.incident for tag in Tag.objects.all()] == [second]


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_decision_made_while_an_outage_is_being_curated_stays(folder, cast):
    incident = load(folder, outage())
    curated = []

    def curate_again():
        try:
            curated.append(actions.curate(actor=Viewer.system(), incident=incident, evidence={"limit-reached": []}))
        finally:
            connection.close()

    other = threading.Thread(target=curate_again)
    with transaction.atomic():
        decisions.reject(actor=cast.viewer("admin"), incident_id=incident.pk, slug="limit-reached", reason="No limit")
        other.start()
        other.join(1)
        assert other.is_alive(), "it must wait for the decision made here"
    other.join(30)
    assert curated == [0]
    assert Tag.objects.get().state == "rejected"
