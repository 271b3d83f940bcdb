"""People decide about tags, and only a person can undo a decision."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from incidents.actions.lifecycle import archive, reopen, review, submit
from incidents.document import build, with_all_parts
from incidents.errors import Invalid, Missing, NotAllowed, WrongState
from incidents.models import AuditEntry, Incident, OutboxEntry
from incidents.scopes import Viewer, may_see
from kb.patterns import decisions, tagging
from kb.patterns.anchors import texts
from kb.patterns.decisions import Precision, may_decide
from kb.patterns.models import Pattern, Tag
from tests.conftest import Cast
from tests.incidents.curated import OUTAGE, outage
from tests.incidents.curated import write as write_outages
from tests.patterns.conftest import NO_STORM, STORM, state, tag, write

WHY = "The retries came after it was over."


def decide(step, actor, incident, slug="retry-storm", **more):
    return getattr(decisions, step)(actor=actor, incident_id=incident.pk, slug=slug, **more)


@pytest.fixture
def famous(tagger, tmp_path):
    def load(**changes):
        call_command("load_outages", write_outages(tmp_path / "outages", outage(**changes)), stdout=StringIO())
        return with_all_parts(Incident.objects).get(origin="famous")

    return load


def test_a_confirmed_tag_keeps_its_rule_as_source_and_records_who_confirmed_it(cast, tagged):
    incident = tagged()
    assert state(incident) == ("rule", "automatic")
    decided = decide("confirm", cast.viewer("author"), incident)
    assert state(incident) == ("rule", "confirmed")
    assert (decided.decided_by, decided.score) == (cast.author, 2.0)
    assert decided.decided_at is not None


def test_a_rejection_needs_a_reason(cast, tagged):
    incident = tagged()
    with pytest.raises(Invalid) as refused:
        decide("reject", cast.viewer("author"), incident, reason="  ")
    assert list(refused.value.fields) == ["reason"]
    decided = decide("reject", cast.viewer("author"), incident, reason=WHY)
    assert (decided.state, decided.reason) == ("rejected", WHY)
    assert decide("confirm", cast.viewer("lead"), incident).reason == ""


def test_every_decision_is_audited_and_reaches_the_index(cast, tagged):
    incident = tagged()
    for step, more in (("reject", {"reason": WHY}), ("confirm", {}), ("undo", {})):
        OutboxEntry.objects.all().delete()
        version = Incident.objects.get(pk=incident.pk).index_version
        decide(step, cast.viewer("author"), incident, **more)
        assert Incident.objects.get(pk=incident.pk).index_version == version + 1
        assert "database_index" in OutboxEntry.objects.values_list("consumer", flat=True)
    entries = AuditEntry.objects.filter(incident=incident, object_type="tag").exclude(action="tags.changed")
    assert [(entry.action, entry.change["state"]) for entry in entries.order_by("pk")] == [
        ("tag.rejected", "rejected"),
        ("tag.confirmed", "confirmed"),
        ("tag.undone", "automatic"),
    ]
    assert entries.get(action="tag.rejected").change["reason"] == WHY


def test_repeating_a_decision_writes_nothing(cast, tagged):
    incident = tagged()
    decide("reject", cast.viewer("author"), incident, reason=WHY)
    entries = AuditEntry.objects.count()
    decide("reject", cast.viewer("lead"), incident, reason=WHY)
    assert AuditEntry.objects.count() == entries
    assert tag(incident).decided_by == cast.author


def test_a_pattern_is_added_by_hand_with_its_sentence(cast, tagged):
    incident = tagged(NO_STORM)
    added, is_new = decide("add", cast.viewer("author"), incident, sentence=f"  {NO_STORM} ")
    assert is_new
    assert state(incident) == ("person", "confirmed")
    (anchor,) = added.evidence
    assert (anchor["field"], anchor["quote"]) == ("sections.summary", NO_STORM)
    assert decide("add", cast.viewer("author"), incident, slug="dns")[0].evidence == []


def test_adding_a_tag_needs_a_known_pattern_and_a_sentence_from_the_text(cast, tagged):
    incident = tagged()
    with pytest.raises(Invalid, match="slug"):
        decide("add", cast.viewer("author"), incident, slug="no-such-pattern")
    with pytest.raises(Invalid, match="sentence"):
        decide("add", cast.viewer("author"), incident, sentence="The disk was full.")
    assert state(incident) == ("rule", "automatic")


def test_a_sentence_of_the_working_copy_is_not_evidence_for_readers_of_the_published_text(cast, tagged):
    incident = tagged()
    write(cast, incident, "Nobody was to read this yet.")
    with pytest.raises(Invalid, match="sentence"):
        decide("add", cast.viewer("author"), incident, slug="dns", sentence="Nobody was to read this yet.")


def test_adding_what_a_rule_found_confirms_it(cast, tagged):
    incident = tagged()
    decide("add", cast.viewer("author"), incident)
    assert state(incident) == ("rule", "confirmed")
    assert [anchor["quote"] for anchor in tag(incident).evidence] == [STORM]


def test_only_a_tag_that_the_incident_carries_can_be_decided_about(cast, tagged):
    incident = tagged(NO_STORM)
    for step, more in (("confirm", {}), ("reject", {"reason": WHY}), ("undo", {})):
        with pytest.raises(Missing):
            decide(step, cast.viewer("author"), incident, **more)


@pytest.mark.parametrize(
    ("status", "said"),
    [({"status": "retired"}, "no such pattern in use"), ({"status": "merged"}, "merged into thundering-herd")],
)
def test_no_decision_is_possible_about_a_pattern_that_is_not_in_use(cast, tagged, status, said):
    incident = tagged()
    if status["status"] == "merged":
        status["merged_into"] = Pattern.objects.get(slug="thundering-herd")
    Pattern.objects.filter(slug="retry-storm").update(**status)
    for step, more in (("confirm", {}), ("reject", {"reason": WHY}), ("undo", {})):
        with pytest.raises(Missing, match=said):
            decide(step, cast.viewer("author"), incident, **more)
    with pytest.raises(Invalid) as refused:
        decide("add", cast.viewer("author"), incident)
    assert said in refused.value.fields["slug"][0]
    assert state(incident) == ("rule", "automatic")


@pytest.mark.parametrize("step", ["confirm", "reject"])
def test_undoing_a_decision_brings_back_what_the_rule_says(cast, tagged, step):
    incident = tagged()
    decide(step, cast.viewer("author"), incident, **({"reason": WHY} if step == "reject" else {}))
    undone = decide("undo", cast.viewer("lead"), incident)
    assert state(incident) == ("rule", "automatic")
    assert (undone.decided_by, undone.decided_at, undone.reason) == (None, None, "")


def test_undoing_a_tag_added_by_hand_withdraws_it(cast, tagged):
    incident = tagged(NO_STORM)
    decide("add", cast.viewer("author"), incident)
    decide("undo", cast.viewer("author"), incident)
    assert state(incident) == ("person", "withdrawn")
    with pytest.raises(Missing):
        decide("confirm", cast.viewer("author"), incident)
    again, is_new = decide("add", cast.viewer("author"), incident)
    assert (again.state, is_new) == ("confirmed", True)
    assert decide("add", cast.viewer("author"), incident) == (again, False)


def test_no_rule_undoes_a_decision(cast, tagged):
    rejected, confirmed, added = tagged(), tagged(title="Another"), tagged(NO_STORM, title="A third")
    decide("reject", cast.viewer("author"), rejected, reason=WHY)
    decide("confirm", cast.viewer("author"), confirmed)
    decide("add", cast.viewer("author"), added)
    for incident, text in ((rejected, f"{STORM} It was slow."), (confirmed, NO_STORM), (added, NO_STORM)):
        write(cast, incident, text)
        decisions_before = state(incident)
        tagging.tag_incidents([incident.pk])
        assert state(incident) == decisions_before
    assert [state(one)[1] for one in (rejected, confirmed, added)] == ["rejected", "confirmed", "confirmed"]


@pytest.mark.parametrize("who", Cast.NAMES)
def test_those_who_may_edit_can_decide_and_those_who_may_not_see_it_learn_nothing(cast, tagged, who):
    incident = tagged(visibility="team")
    viewer = cast.viewer(who)
    may = who in ("author", "lead", "admin")
    assert may_decide(viewer, incident) is may
    if may:
        assert decide("confirm", viewer, incident).decided_by == cast.user(who)
        return
    with pytest.raises(NotAllowed if may_see(viewer, incident) else Missing):
        decide("confirm", viewer, incident)
    assert state(incident) == ("rule", "automatic")


@pytest.mark.parametrize("who", Cast.NAMES)
def test_anyone_who_writes_for_a_team_can_decide_about_famous_outages(cast, famous, who):
    incident = famous()
    viewer = cast.viewer(who)
    may = who in ("author", "lead", "admin", "outsider", "reviewer")
    assert may_decide(viewer, incident) is may
    if may:
        assert decide("confirm", viewer, incident, slug="limit-reached").decided_by == cast.user(who)
    else:
        with pytest.raises(NotAllowed):
            decide("confirm", viewer, incident, slug="limit-reached")


def test_the_system_user_cannot_decide(famous):
    incident = famous()
    with pytest.raises(NotAllowed):
        decide("confirm", Viewer.system(), incident, slug="limit-reached")


def test_tags_of_an_archived_incident_cannot_be_decided_about(cast, tagged):
    incident = tagged()
    archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    with pytest.raises(WrongState):
        decide("confirm", cast.viewer("author"), incident)


def test_the_rejection_of_a_curated_tag_survives_the_next_load(cast, famous):
    incident = famous()
    decide("reject", cast.viewer("author"), incident, slug="limit-reached", reason="No limit was involved.")
    famous(title="The same, told anew")
    assert state(incident, "limit-reached") == ("curator", "rejected")
    tagging.tag_incidents([incident.pk])
    assert state(incident, "limit-reached") == ("curator", "rejected")
    decide("undo", cast.viewer("author"), incident, slug="limit-reached")
    assert state(incident, "limit-reached") == ("curator", "confirmed")
    assert tag(incident, "limit-reached").evidence


def test_a_decision_on_a_famous_outage_survives_a_file_that_names_other_patterns(cast, famous):
    incident = famous()
    decide("confirm", cast.viewer("author"), incident, slug="limit-reached")
    decide("add", cast.viewer("outsider"), incident, slug="dns")
    decide("reject", cast.viewer("author"), incident, slug="dns", reason="Only a sketch said so.")
    famous(patterns=[{**OUTAGE["patterns"][0], "slug": "dns"}])
    assert state(incident, "limit-reached") == ("curator", "confirmed")
    assert state(incident, "dns") == ("person", "rejected")


def test_precision_counts_only_decisions_about_the_rules_tags(cast, tagged):
    incidents = [tagged(title=f"Gateway was slow {n}", visibility="team") for n in range(4)]
    for incident in incidents[:2]:
        decide("confirm", cast.viewer("author"), incident)
    decide("reject", cast.viewer("author"), incidents[2], reason=WHY)
    by_hand = tagged(NO_STORM, title="By hand")
    decide("add", cast.viewer("author"), by_hand)
    pattern = Pattern.objects.get(slug="retry-storm")
    found = decisions.precision(cast.viewer("reader"), pattern)
    assert found == Precision(confirmed=2, rejected=1)
    assert found.share == pytest.approx(2 / 3)
    assert decisions.precision(cast.viewer("outsider"), pattern).n == 0, "they see none of these"
    decide("undo", cast.viewer("author"), incidents[2])
    assert decisions.precision(cast.viewer("reader"), pattern) == Precision(2, 0)


def test_without_decisions_a_rule_has_no_precision(cast, tagged):
    tagged()
    nothing = decisions.precision(cast.viewer("admin"), Pattern.objects.get(slug="retry-storm"))
    assert (nothing.n, nothing.share, nothing.low, nothing.high) == (0, None, None, None)


# Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
@pytest.mark.parametrize(
    ("confirmed", "rejected", "low", "high"),
    [(81, 182, 0.2553, 0.3662), (15, 133, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 0, 0.8830, 1.0)],
)
def test_the_interval_is_wilsons(confirmed, rejected, low, high):
    found = Precision(confirmed, rejected)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_an_incident_carries_a_pattern_only_once(cast, tagged):
    incident = tagged()
    for step in ("confirm", "add", "undo", "add"):
        decide(step, cast.viewer("author"), incident)
    assert Tag.objects.filter(incident=incident, pattern__slug="retry-storm").count() == 1


def test_a_sentence_that_a_person_added_is_removed_with_their_decision(cast, famous):
    incident = famous()
    before = Tag.objects.get(incident=incident, pattern__slug="limit-reached").evidence
    sentence = next(text for _, text in texts(build(incident)) if text not in str(before))
    decide("add", cast.viewer("author"), incident, slug="limit-reached", sentence=sentence.split("\n")[0])
    assert len(Tag.objects.get(incident=incident, pattern__slug="limit-reached").evidence) == len(before) + 1
    undone = decide("undo", cast.viewer("author"), incident, slug="limit-reached")
    assert (undone.source, undone.state, undone.evidence) == ("curator", "confirmed", before)


def test_a_decision_about_a_pattern_in_review_is_not_a_change_of_the_text(cast, tagged):
    incident = tagged()
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["lead@acme.example"])
    decide("confirm", cast.viewer("lead"), incident)
    review(actor=cast.viewer("lead"), incident_id=incident.pk, approve=True)
    assert incident.reviews.get(ended_at__isnull=True).state == "approved"


@pytest.mark.parametrize("slug", ["a\x00b", "x" * 5_000, ""])
def test_a_malformed_slug_is_refused(cast, tagged, slug):
    with pytest.raises(Invalid) as refused:
        decide("add", cast.viewer("author"), tagged(), slug=slug)
    assert list(refused.value.fields) == ["slug"]
