"""What a rule can change, for every state that a tag can be in."""

from __future__ import annotations

from itertools import product

import pytest

from kb.patterns.anchors import hash_of
from kb.patterns.matcher import Evidence, Match
from kb.patterns.models import TagSource, TagState
from kb.patterns.planning import CurrentTag, plan

SLUG = "retry-storm"
TEXTS = {"sections.summary": "It stormed. It stormed again."}
OLD, NEW = Evidence("sections.summary", 0, 11, "It stormed."), Evidence("sections.summary", 12, 29, "It stormed again.")
VERSION = 3


def match(*evidence, state=TagState.AUTOMATIC):
    return Match(SLUG, 2.5, state, evidence or (OLD,))


def stored(*evidence):
    return [
        {"field": e.field, "hash": hash_of(TEXTS[e.field]), "start": e.start, "end": e.end, "quote": e.quote}
        for e in evidence
    ]


def standing(source="rule", state="automatic", is_decided=False, rule_version=VERSION, score=2.5, evidence=(OLD,)):
    return CurrentTag(source, state, is_decided, rule_version, score, stored(*evidence))


def kept(*evidence):
    return [{**anchor, "rejected": True} for anchor in stored(*evidence)]


def suggested_again(version, *, shown):
    """A tag that was rejected with the old sentence and then suggested again."""
    return CurrentTag("rule", "suggested", True, version, 2.5, [*stored(*shown), *kept(OLD)])


def planned(here, found, **more):
    changes = plan(
        {SLUG: here} if here else {}, {SLUG: found} if found else {}, versions={SLUG: VERSION}, texts=TEXTS, **more
    )
    return changes.get(SLUG)


def test_a_match_becomes_a_tag_of_the_rule_with_its_sentences():
    assert planned(None, match()).columns == {
        "source": "rule",
        "state": "automatic",
        "rule_version": VERSION,
        "score": 2.5,
        "evidence": stored(OLD),
    }


def test_an_unchanged_match_changes_nothing():
    assert planned(standing(), match()) is None


@pytest.mark.parametrize(
    "here",
    [
        standing(state="suggested"),
        standing(rule_version=VERSION - 1),
        standing(score=1.5),
        standing(evidence=(NEW,)),
        standing(state="withdrawn", evidence=()),
        standing("person", "withdrawn", rule_version=None, score=None, evidence=()),
        standing("curator", "withdrawn", rule_version=None, score=None, evidence=()),
    ],
)
def test_a_withdrawn_tag_or_one_of_the_rule_becomes_what_the_rule_says(here):
    assert planned(here, match()) == planned(None, match())


def test_a_tag_without_a_match_is_withdrawn_once():
    gone = planned(standing(), None)
    assert (gone.state, gone.score, gone.evidence) == ("withdrawn", None, ())
    assert planned(standing(state="withdrawn", score=None, evidence=()), None) is None
    assert planned(None, None) is None


@pytest.mark.parametrize(
    ("source", "found", "version", "evidence"),
    list(
        product(
            TagSource.values,
            [None, match(), match(OLD, NEW)],
            [VERSION, VERSION - 1, None],
            [(), (OLD,), (OLD, NEW)],
        )
    ),
)
def test_a_tag_that_a_person_confirmed_is_never_changed(source, found, version, evidence):
    here = standing(source, "confirmed", is_decided=True, rule_version=version, evidence=evidence)
    assert planned(here, found) is None


@pytest.mark.parametrize(
    ("source", "state", "found"),
    list(product(["curator", "model"], ["confirmed", "suggested", "automatic"], [None, match()])),
)
def test_tags_of_curators_and_models_are_left_alone(source, state, found):
    assert planned(standing(source, state, rule_version=None), found) is None


@pytest.mark.parametrize(
    ("source", "found", "version", "may_suggest"),
    [
        ("rule", match(OLD, NEW), VERSION - 1, True),
        ("person", match(OLD, NEW), VERSION - 1, True),
        # Neither the same rule nor a later one with the same sentence shows anything new.
        ("rule", match(OLD, NEW), VERSION, False),
        ("rule", match(OLD), VERSION - 1, False),
        ("person", match(OLD, NEW), VERSION, False),
        ("person", match(OLD, NEW), None, False),
        ("rule", None, VERSION - 1, False),
        ("curator", match(OLD, NEW), None, False),
    ],
)
def test_a_tag_that_a_person_rejected_is_suggested_again_only_by_a_later_rule_with_a_new_sentence(
    source, found, version, may_suggest
):
    again = planned(standing(source, "rejected", is_decided=True, rule_version=version), found)
    if not may_suggest:
        assert again is None
        return
    # At most suggested, however certain the rule is, and the record of the rejection is kept.
    assert again.state == "suggested"
    assert not {"decided_by", "decided_at", "reason"} & again.columns.keys()


@pytest.mark.parametrize("version", [VERSION, VERSION - 1])
def test_a_tag_suggested_again_follows_its_rule_but_is_never_promoted(version):
    here = suggested_again(version, shown=(NEW,))
    followed = planned(here, match(OLD, NEW))
    assert (followed.state, followed.evidence) == ("suggested", (*stored(OLD, NEW), *kept(OLD)))


@pytest.mark.parametrize("found", [None, match(OLD)])
def test_a_tag_suggested_again_returns_to_its_rejection_once_no_new_sentence_supports_it(found):
    gone = planned(suggested_again(VERSION, shown=(NEW,)), found)
    assert (gone.state, gone.evidence) == ("rejected", tuple(stored(OLD)))


def test_a_sentence_suggested_again_but_withdrawn_unseen_still_counts_as_new():
    rejected = standing(state="rejected", is_decided=True, rule_version=VERSION - 1, evidence=(OLD,))
    assert planned(rejected, match(NEW)).evidence == (*stored(NEW), *kept(OLD))
    gone = planned(suggested_again(VERSION - 1, shown=(NEW,)), None)
    before = CurrentTag("rule", gone.state, True, VERSION - 1, gone.score, gone.evidence)
    assert planned(before, match(OLD)) is None
    assert planned(before, match(NEW)).state == "suggested"


def test_on_curated_incidents_an_automatic_match_is_only_suggested_and_a_suggested_one_dropped():
    unsure = match(state=TagState.SUGGESTED)
    assert planned(None, match(), is_curated=True).state == "suggested"
    assert planned(standing(state="suggested"), match(), is_curated=True) is None
    assert planned(standing(state="automatic"), match(), is_curated=True).state == "suggested"
    assert planned(None, unsure, is_curated=True) is None
    assert planned(standing(state="suggested"), unsure, is_curated=True).state == "withdrawn"
    assert planned(standing("curator", "confirmed"), unsure, is_curated=True) is None


def test_tags_of_patterns_whose_rules_were_not_run_are_left_alone():
    assert plan({SLUG: standing()}, {}, versions={"dns": 1}, texts=TEXTS) == {}


@pytest.mark.parametrize("found", [None, match(), match(OLD, NEW), match(state=TagState.SUGGESTED)])
@pytest.mark.parametrize(
    "here",
    [
        None,
        standing(),
        standing(state="withdrawn", rule_version=1),
        standing("curator", "confirmed"),
        standing(state="rejected", is_decided=True, rule_version=1),
        standing(state="suggested", is_decided=True, rule_version=1),
        suggested_again(1, shown=(NEW,)),
    ],
)
def test_after_a_plan_is_carried_out_nothing_is_left_to_plan(here, found):
    change = planned(here, found)
    if change is None:
        return
    is_decided = here is not None and here.is_decided
    done = CurrentTag("rule", change.state, is_decided, change.rule_version, change.score, list(change.evidence))
    assert planned(done, found) is None
