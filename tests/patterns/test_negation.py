"""Which words a sentence denies, and how far a denial reaches."""

from __future__ import annotations

import pytest

from kb.patterns.matcher import Rules, match, shipped_rules
from kb.patterns.rules import definition
from tests.patterns.vocabularies import pattern

PHRASES = [
    "data loss",
    "lost data",
    "(data|messages) ..2 lost",
    "lose ..2 data",
    "full outage",
    "attack",
    "retry storm",
    "configuration change",
    "disk ..1 full",
    "certificate ..3 expired",
    "not renewed",
    "(attack|storm) ..6 (cause|caused)",
    "attack ..4 not",
]
LOSS = Rules([definition("any-harm", pattern(rule__groups={"named": {"weight": 2, "any": PHRASES}})).rule])


@pytest.mark.parametrize(
    "sentence",
    [
        "No data was lost.",
        "The outage was not caused by a configuration change.",
        "It was not due to an attack.",
        "An attack was ruled out early.",
        "We ruled out an attack.",
        "There was no evidence of an attack.",
        "There is no indication that the retry storm came from outside.",
        "The failover worked without data loss.",
        "We recovered without losing any data.",
        "Readers saw stale pages instead of a full outage.",
        "It was slow rather than a full outage.",
        "Messages were never lost.",
        "No messages were delayed or lost.",
        "The queue prevented data loss.",
        "The limit averted a retry storm.",
        "A slower reaction would have lost data.",
        "The disk wasn't full, nor was there an attack.",
        "Nobody lost data.",
        "Data loss did not occur.",
        "The attack was not the cause.",
        "The incident was unrelated to the configuration change.",
        "The retry storm could be excluded.",
        "We excluded an attack.",
        "An attack is unlikely.",
        "It is unlikely that an attack was the cause.",
        "We first suspected an attack, but that was wrong.",
        "At first it looked like a retry storm, but it was not.",
    ],
)
def test_a_denied_phrase_is_not_found(sentence):
    assert match(LOSS, {"causes": sentence}) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Data was lost.",
        "Not only was data lost, backups were gone too.",
        "There was no alarm, and messages were lost.",
        "The alarm did not ring because the disk was full.",
        "It was not slow; it was a full outage.",
        "It was not noticed that data was lost.",
        "Nothing worked any more but the retry storm went on.",
        "We could not stop the retry storm: the attack went on.",
        "The certificate was not renewed.",
        "The attack did not end.",
        "We excluded the tests from the build, and messages were lost.",
        "An unlikely attack was under way.",
        "There was no doubt that the certificate had expired.",
        "The page no longer answered during the attack.",
        "No data was lost in the first hour, but after it messages were lost.",
    ],
)
def test_a_phrase_outside_the_reach_of_a_denial_is_found(sentence):
    assert len(match(LOSS, {"causes": sentence})) == 1


@pytest.mark.parametrize(
    "cause",
    ["DNS", "a DNS problem", "a DNS failure", "a race condition", "a failed failover", "a configuration change",
     "a code deploy", "an upgrade", "a migration", "a fire", "a backup failure", "a memory leak"],
)  # fmt: skip
@pytest.mark.parametrize(
    "sentence",
    ["This was not {}.", "It wasn't {}.", "{} was not the cause.", "{} was not to blame.", "{} played no role.",
     "{} could be excluded.", "We first suspected {}, but that was wrong."],
)  # fmt: skip
def test_no_shipped_rule_matches_a_denied_cause(sentence, cause):
    text = sentence.format(cause)
    assert match(shipped_rules(), {"causes": text[0].upper() + text[1:]}) == []


def test_a_group_can_ignore_negation():
    ignoring = pattern(rule__groups={"named": {"weight": 2, "any": ["data loss"], "negation": "ignore"}})
    assert match(Rules([definition("any-harm", ignoring).rule]), {"causes": "There was no data loss."})


def test_a_denial_ends_with_its_sentence():
    assert match(LOSS, {"causes": "No. Data was lost."})
