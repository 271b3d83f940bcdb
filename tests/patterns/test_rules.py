"""The shipped rules do what their files say, and unusable files are refused with the reason."""

from __future__ import annotations

from io import StringIO

import pytest
import yaml
from django.core.management import CommandError, call_command

from kb.management.commands.check_patterns import wrong_sentences
from kb.patterns.matcher import Rules, match, shipped_rules
from kb.patterns.rules import BadRules, definition, read, shipped
from tests.patterns.vocabularies import folder_of, pattern

SENTENCES = [
    pytest.param(one, sentence, is_positive, id=f"{one.slug}-{'finds' if is_positive else 'passes'}-{n}")
    for one in shipped()
    for is_positive, sentences in ((True, one.positive), (False, one.near_misses))
    for n, sentence in enumerate(sentences)
]


@pytest.mark.parametrize(("shipped_definition", "sentence", "is_positive"), SENTENCES)
def test_every_rule_judges_its_own_sentences(shipped_definition, sentence, is_positive):
    found = {one.slug for one in match(shipped_rules(), {"causes": sentence})}
    assert ((shipped_definition.merged_into or shipped_definition.slug) in found) is is_positive


def test_every_pattern_has_its_own_sentences_and_no_two_share_one():
    assert len(shipped()) == 35
    sentences = [sentence for one in shipped() for sentence in (*one.positive, *one.near_misses)]
    assert len(sentences) == len(set(sentences)) >= 350
    assert all(len(one.positive) >= 5 and len(one.near_misses) >= 5 for one in shipped())


def test_the_evidence_for_a_sentence_is_the_whole_sentence():
    for one in shipped():
        found = {m.slug: m for m in match(Rules([one.rule]), {"causes": one.positive[0]})}[one.slug]
        assert found.evidence[0].quote == one.positive[0]


def group(**values):
    return pattern(rule__groups={"named": {"weight": 2, "any": ["<tank> ..4 empty"]}, **values})


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (pattern(colour="red"), "", "colour"),
        (pattern(rule__colour="red"), "rule", "colour"),
        (group(other={"weight": 1, "any": ["dry well"], "colour": "red"}), "rule.groups.other", "colour"),
        (pattern(advice=None), "", "advice"),
        (pattern(family="weather"), "family", "weather"),
        (pattern(sentences__positive=["The tank was empty."]), "sentences.positive", "too short"),
        (pattern(rule__groups={}), "rule.groups", "non-empty"),
        (group(other={"weight": 1, "any": ["of the"]}), "rule.groups.other.any.0", "matches everything"),
        (group(other={"weight": 1, "any": ["tank", "(tank|the) (of|and)"]}), "rule.groups.other.any.1", "everything"),
        (group(other={"weight": 1, "any": ["tank *"]}), "rule.groups.other.any.0", "wildcard"),
        (group(other={"weight": 1, "any": [""]}), "rule.groups.other.any.0", "no words"),
        (group(other={"weight": 1, "any": ["..."]}), "rule.groups.other.any.0", "cannot be used"),
        (group(other={"weight": 1, "any": ["tank (|dry)"]}), "rule.groups.other.any.0", "empty alternative"),
        (group(other={"weight": 1, "any": ["tank (dry"]}), "rule.groups.other.any.0", "not closed"),
        (group(other={"weight": 1, "any": ["tank ..4"]}), "rule.groups.other.any.0", "ends with a gap"),
        (group(other={"weight": 1, "any": ["..4 tank"]}), "rule.groups.other.any.0", "begins with a gap"),
        (group(other={"weight": 1, "any": ["a ~3 tank ~3 dry"]}), "rule.groups.other.any.0", "more than one"),
        (group(other={"weight": 1, "any": ["<well> dry"]}), "rule.groups.other.any.0", "no word list named well"),
        (group(other={"weight": 1, "any": ["dry"], "requires": ["nowhere"]}), "rule.groups.other", "nowhere"),
        (group(a={"weight": 1, "any": ["dry"], "requires": ["b"]}, b={"weight": 1, "any": ["wet"], "excludes": ["a"]}),
         "rule.groups.a", "circular reference: a -> b -> a"),
        (group(a={"weight": 1, "any": ["dry"], "requires": ["a"]}), "rule.groups.a", "circular reference: a -> a"),
        (pattern(rule__words={"tank": ["tank", "<well>"], "well": ["<tank>"]}), "rule.words", "circular reference"),
        (pattern(rule__words={"tank": ["tank", "!!"]}), "rule.groups.named.any.0", "matches everything"),
        (group(other={"weight": 1, "when": {"detected_by": ["nobody"]}}), "rule.groups.other.when", "nobody"),
        (group(other={"weight": 1, "when": {"weather": ["rain"]}}), "rule.groups.other.when", "weather"),
        (pattern(rule__groups={"denied": {"weight": -1, "any": ["tank"]}}), "rule.groups", "evidence"),
        (pattern(rule__thresholds={"suggested": 3, "automatic": 2}), "rule.thresholds", "at least"),
        (pattern(merged_into="no-such-pattern"), "merged_into", "no-such-pattern"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_with_the_place_and_the_reason(tmp_path, content, place, reason):
    with pytest.raises(BadRules) as refused:
        read(folder_of(tmp_path, empty_tank=content))
    problem = next(one for one in refused.value.problems if reason in one.reason)
    assert problem.file == "empty-tank.yaml"
    assert problem.place.startswith(place)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty-tank", "a: [", "cannot be read"),
        ("empty-tank", "- a list", "not of type"),
        ("Empty Tank", yaml.safe_dump(pattern()), "is not a slug"),
    ],
)
def test_a_file_that_is_not_a_pattern_is_refused(tmp_path, name, text, reason):
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadRules, match=reason):
        read(tmp_path)


def test_all_problems_of_all_files_are_reported_at_once(tmp_path):
    bad = group(other={"weight": 1, "any": ["of the", "tank *"]})
    with pytest.raises(BadRules) as refused:
        read(folder_of(tmp_path, empty_tank=bad, dry_well=pattern(family="weather")))
    assert [problem.file for problem in refused.value.problems] == ["dry-well.yaml", *["empty-tank.yaml"] * 2]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(BadRules, match="no pattern file"):
        read(tmp_path)


def test_the_digest_changes_with_the_rule_and_with_nothing_else():
    same = definition("empty-tank", pattern(name="Another name")).rule.digest
    assert definition("empty-tank", pattern()).rule.digest == same
    assert definition("empty-tank", pattern(rule__thresholds={"suggested": 1.5})).rule.digest != same


def test_the_check_names_the_sentences_that_a_rule_judges_wrongly(tmp_path):
    wrong = definition(
        "empty-tank",
        pattern(sentences__positive=[*pattern()["sentences"]["positive"], "Nothing was in it."],
                sentences__near_miss=[*pattern()["sentences"]["near_miss"], "The reservoir was dry."]),
    )  # fmt: skip
    assert [str(problem) for problem in wrong_sentences(wrong)] == [
        "empty-tank.yaml: sentences.positive: “Nothing was in it.” does not match, but should",
        "empty-tank.yaml: sentences.near_miss: “The reservoir was dry.” matches, but should not",
    ]


def test_the_command_checks_the_shipped_files_and_refuses_others(tmp_path):
    out = StringIO()
    call_command("check_patterns", stdout=out)
    assert out.getvalue() == "35 files checked, no problems found.\n"
    with pytest.raises(CommandError, match="1 problem found"):
        call_command("check_patterns", folder_of(tmp_path, empty_tank=pattern(colour="red")), stdout=out)
    assert "empty-tank.yaml" in out.getvalue()
