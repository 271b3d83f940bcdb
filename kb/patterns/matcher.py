"""Finds every pattern in a text, in one pass over its words.

The phrases of all rules are searched for together: kb/patterns/index.py reports which of them occur in a sentence.
Scores are computed only for rules with at least one hit.

`match` is pure: the same rules, texts and facts always give the same result. It reads incidents, search queries and
plans of changes alike; kb/patterns/reading.py provides the fields and facts of an incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from kb.patterns import negation
from kb.patterns.index import PhraseIndex
from kb.patterns.models import TagState
from kb.patterns.phrases import Phrase, parse
from kb.patterns.rules import Group, Rule, in_use, shipped
from kb.patterns.tokens import COMPOUNDS, ByWord, joined, sentences, stems

# The number of sentences shown for one match, at most.
MOST_EVIDENCE = 5

_FIRST_OF_COMPOUNDS = {first for first, _ in COMPOUNDS}
# The section of imported incidents whose source does not divide its account into sections.
ACCOUNT = "account"
# How an account says what is to be done afterwards. A sentence with one of these counts as an action item.
REMEDIES = tuple(
    map(
        parse,
        (
            "(prevent|avoid|minimize|chance|risk) ..6 (recurrence|reoccurrence|recurring|similar|happen again)",
            "(for|in) the future",
            "for future prevention",
            "future (improvements|prevention|plans|measures|actions)",
            "(corrective|preventive|preventative) (measures|actions|action)",
            "(follow up|remediation|action) (items|actions|efforts)",
            "(mitigation|prevention) strategies",
            "(going|moving) forward",
            "(long term|short term)",
            "plan (to|include)",
            "committed to",
            "ongoing (efforts|work)",
            "improvements include",
            "(is|are) ..1 (implementing|planning|working on)",
            "we (intend|are going) to",
            "lessons",
        ),
    )
)

Facts = Mapping[str, Any]
# A sentence, as its field and its start and end in the text of that field.
Where = tuple[str, int, int]
# The start and end of a sentence, the number of a phrase in it, and whether the sentence denies it.
Hit = tuple[int, int, int, bool]
# The contribution of each sentence to one rule, by the number of the rule's group.
_Gathered = dict[int, dict[Where, float]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A whole sentence that shows the pattern: code points `start` to `end` of the field's text."""

    field: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern found in a text. `state` is suggested or automatic; `evidence` is ordered by weight, heaviest first."""

    slug: str
    score: float
    state: TagState
    evidence: tuple[Evidence, ...]


class _Score(NamedTuple):
    """The sum of a rule's groups, and the sentences that support it with the contribution of each."""

    total: float
    shown: dict[Where, float]


class _Use(NamedTuple):
    """A group of a rule that uses a phrase, the phrase's weight there, and whether the group skips denied sentences."""

    rule: int
    group: int
    weight: float
    heeds_negation: bool


class Rules:
    """Rules compiled for matching."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.uses: list[list[_Use]] = [[] for _ in REMEDIES]
        numbers: dict[Phrase, int] = {phrase: number for number, phrase in enumerate(REMEDIES)}
        for r, rule in enumerate(self.rules):
            for g, group in enumerate(rule.groups):
                for phrase, weight in group.phrases:
                    number = numbers.setdefault(phrase, len(numbers))
                    if number == len(self.uses):
                        self.uses.append([])
                    self.uses[number].append(_Use(r, g, weight, group.heeds_negation))
        self.phrases = tuple(numbers)
        self._index = PhraseIndex(self.phrases, negation.HINT_WORDS)
        self._words = [frozenset(chain(*chain(*phrase.elements))) for phrase in self.phrases]
        self._uses_in: ByWord[list[list[_Use]]] = ByWord(self._weighted_uses)

    def uses_in(self, section: str) -> list[list[_Use]]:
        """By phrase number, the uses that count in this section, with their weights scaled by that of the section."""
        return self._uses_in[section]

    def _weighted_uses(self, section: str) -> list[list[_Use]]:
        def counts(use: _Use) -> bool:
            sections = self.rules[use.rule].groups[use.group].sections
            return sections is None or section in sections

        weights = [rule.section_weight(section) for rule in self.rules]
        return [
            [use._replace(weight=use.weight * weights[use.rule]) for use in uses if weights[use.rule] and counts(use)]
            for uses in self.uses
        ]

    def hits(self, text: str) -> Iterator[Hit]:
        """Every phrase that occurs in a sentence of the text, once per sentence."""
        find = self._index.find
        for start, end in sentences(text):
            sentence = text[start:end]
            numbers, may_deny = find(sentence)
            if numbers:
                denied = self._denied_phrases(numbers, sentence) if may_deny else ()
                for number in numbers:
                    yield start, end, number, number in denied

    def _denied_phrases(self, numbers: list[int], text: str) -> list[int]:
        """The phrases that the sentence denies. A phrase that occurs more than once must be denied each time."""
        sentence = stems(text)
        if not _FIRST_OF_COMPOUNDS.isdisjoint(sentence):
            text = joined(text)
            sentence = stems(text)
        denials = negation.denials(text, sentence)
        if not denials:
            return []
        words = {word for denial in denials for word in sentence[denial.low : denial.high]}
        return [
            number
            for number in numbers
            if not words.isdisjoint(self._words[number])
            and all(negation.is_denied(found, denials) for found in self.phrases[number].placements(sentence))
        ]


@cache
def shipped_rules() -> Rules:
    """The shipped rules of the patterns in use, compiled once per process."""
    return Rules(in_use(shipped()))


def match(rules: Rules, fields: Mapping[str, str], facts: Facts | None = None) -> list[Match]:
    """The patterns that the fields show, sorted by slug.

    `fields` maps paths (`sections.summary`, `causes/<row id>`) or bare section names to texts. Unknown facts are None
    or missing. Of several rules that find the same pattern, the most certain one gives the match.
    """
    found: dict[str, Match] = {}
    for number, gathered in _gather(rules, fields).items():
        rule = rules.rules[number]
        score = _score(rule, gathered, facts or {})
        if score is not None and score.total >= rule.suggested:
            state = TagState.AUTOMATIC if score.total >= rule.automatic else TagState.SUGGESTED
            one = Match(rule.slug, score.total, state, _evidence(score.shown, fields))
            found[rule.slug] = max(found.get(rule.slug, one), one, key=_certainty)
    return sorted(found.values(), key=lambda one: one.slug)


def section_of(field: str) -> str:
    """The section that a field path belongs to."""
    return field.partition("/")[0].removeprefix("sections.")


def _gather(rules: Rules, fields: Mapping[str, str]) -> dict[int, _Gathered]:
    """By rule and group, the contribution of each sentence: that of its strongest phrase, weighted by section."""
    out: dict[int, _Gathered] = {}
    for field, text in fields.items():
        section = section_of(field)
        uses_in_field, uses_in_actions = rules.uses_in(section), rules.uses_in("actions")
        # The numbers in a sentence ascend, so those of the phrases that mark a remedy come first.
        remedies = len(REMEDIES) if section == ACCOUNT else 0
        current = -1
        for start, end, phrase, denied in rules.hits(text):
            if start != current:
                current, where, uses_in = start, (field, start, end), uses_in_field
            if phrase < remedies:
                uses_in = uses_in_actions
            for number, group, value, heeds_negation in uses_in[phrase]:
                if denied and heeds_negation:
                    continue
                shown = out.setdefault(number, {}).setdefault(group, {})
                if abs(value) >= abs(shown.get(where, 0.0)):
                    shown[where] = value
    return out


def _score(rule: Rule, gathered: _Gathered, facts: Facts) -> _Score | None:
    """The sum of the groups that hold. None if no sentence supports the rule: facts alone are never evidence."""
    holding: set[str] = set()
    shown: dict[Where, float] = {}
    total = 0.0
    for number, group in enumerate(rule.groups):
        values = gathered.get(number)
        if group.phrases and not values:
            continue
        if not (group.requires <= holding and group.excludes.isdisjoint(holding)):
            continue
        if group.when and not all(condition.holds(facts) for condition in group.when):
            continue
        holding.add(group.name)
        if values is None:
            total += group.weight
            continue
        total += _contribution(group, values.values())
        for where, value in values.items():
            if value > 0:
                shown[where] = shown.get(where, 0.0) + value
    return _Score(round(total, 3), shown) if shown else None


def _contribution(group: Group, values: Iterable[float]) -> float:
    """The contribution of a group: its best sentence or, if it has a cap, the sum of its sentences up to the cap."""
    if group.cap is None:
        return max(values, key=abs)
    return max(-group.cap, min(group.cap, sum(values)))


def _certainty(found: Match) -> tuple[bool, float]:
    return found.state == TagState.AUTOMATIC, found.score


def _evidence(shown: Mapping[Where, float], fields: Mapping[str, str]) -> tuple[Evidence, ...]:
    """The heaviest sentences, without repeated texts; ties are kept in the order they were found."""
    out: dict[str, Evidence] = {}
    for (field, start, end), _ in sorted(shown.items(), key=lambda item: -item[1]):
        quote = fields[field][start:end]
        out.setdefault(quote, Evidence(field, start, end, quote))
        if len(out) == MOST_EVIDENCE:
            break
    return tuple(out.values())
