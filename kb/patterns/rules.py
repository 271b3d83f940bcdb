"""The rules that find patterns: read from one file per pattern, validated, and kept as immutable values.

A file with an unknown field, circular references between groups or word lists, or a phrase that matches everything is
refused with the file, the place in it and the reason. docs/patterns.md explains how to write a rule;
kb/patterns/matcher.py applies them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator

from incidents import plain_yaml
from incidents.vocabulary import DetectedBy, Family, Mitigation, Severity
from kb.patterns.phrases import BadPhrase, Phrase, parse

FOLDER: Path = settings.BASE_DIR / "fixtures" / "patterns"
SCHEMA: Path = settings.BASE_DIR / "fixtures" / "patterns.schema.json"

SUGGESTED, AUTOMATIC = 1.0, 2.0
# The weight of a hit by section, unless the rule overrides it. "text" is a bare text: a query or a plan of a change.
SECTION_WEIGHTS: Mapping[str, float] = {
    "causes": 1.2,
    "trigger": 1.2,
    "text": 1.2,
    "title": 1.1,
    "summary": 1.0,
    "detection": 1.0,
    "went_wrong": 1.0,
    "account": 0.9,
    "surprises": 0.8,
    "timeline": 0.7,
    "mitigation": 0.6,
    "lessons": 0.6,
    "impact": 0.5,
    "resolution": 0.5,
    "lucky": 0.5,
    "actions": 0.4,
    "customer_message": 0.4,
    "went_well": 0.3,
    # This section is about other incidents.
    "precedent": 0.2,
}
OTHER_SECTIONS = 0.8
# Part of every digest. Raise it when a change of the matcher, such as of negation or scoring, changes what rules find.
EDITION = 5

_CHOICES: Mapping[str, Sequence[str]] = {
    "detected_by": DetectedBy.values,
    "severity": Severity.values,
    "mitigations": Mitigation.values,
    "cause_families": Family.values,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse a file. `place` is a path inside the file, such as rule.groups.named.any.3."""

    file: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.reason}" if self.place else f"{self.file}: {self.reason}"


class BadRules(ValueError):
    """Pattern files that cannot be used. `problems` are all the reasons found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one fact. Exactly one of `values`, `none_of`, `flag` and the range is set."""

    fact: str
    values: frozenset[str] | None = None
    none_of: frozenset[str] | None = None
    flag: bool | None = None
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, facts: Mapping[str, Any]) -> bool:
        value = facts.get(self.fact)
        if value is None:
            return False
        here = {value} if isinstance(value, str) else value
        if self.values is not None:
            return not self.values.isdisjoint(here)
        if self.none_of is not None:
            return self.none_of.isdisjoint(here)
        if self.flag is not None:
            return bool(value) is self.flag
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a rule. `phrases` are pairs of phrase and weight; a group without any tests facts only."""

    name: str
    weight: float
    cap: float | None
    phrases: tuple[tuple[Phrase, float], ...]
    sections: frozenset[str] | None
    heeds_negation: bool
    requires: frozenset[str]
    excludes: frozenset[str]
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one pattern is found. Each of the `groups` comes after the groups that it requires or excludes."""

    slug: str
    groups: tuple[Group, ...]
    sections: Mapping[str, float]
    suggested: float
    automatic: float
    digest: str

    def section_weight(self, section: str) -> float:
        weight = self.sections.get(section)
        return SECTION_WEIGHTS.get(section, OTHER_SECTIONS) if weight is None else weight


@dataclass(frozen=True, slots=True)
class Definition:
    """The content of one file: the description of the pattern, its rule, and the sentences that test the rule."""

    slug: str
    name: str
    family: str
    counts: str
    does_not_count: str
    advice: str
    status: str
    merged_into: str | None
    rule: Rule
    positive: tuple[str, ...]
    near_misses: tuple[str, ...]


def read(folder: Path = FOLDER) -> list[Definition]:
    """Read every pattern file in the folder. Raises BadRules with all the problems of all the files."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise BadRules([Problem(str(folder), "", "there is no pattern file in this folder")])
    problems: list[Problem] = []
    found: list[Definition] = []
    for path in paths:
        try:
            found.append(read_file(path))
        except BadRules as error:
            problems += error.problems
    # A file with problems still counts as an existing pattern, so that references to it raise no further problems.
    statuses = {path.stem: "active" for path in paths} | {definition.slug: definition.status for definition in found}
    problems += [
        Problem(f"{definition.slug}.yaml", "merged_into", f"there is no pattern {definition.merged_into} in use")
        for definition in found
        if definition.merged_into is not None and statuses.get(definition.merged_into) != "active"
    ]
    if problems:
        raise BadRules(problems)
    return found


def in_use(definitions: Iterable[Definition]) -> list[Rule]:
    """The rules to run. The rule of a merged pattern finds the pattern it was merged into.

    All rules that find one pattern share a digest, so merging a pattern counts as a change of the other one's rule.
    """
    of: dict[str, dict[str, Rule]] = {}
    for definition in definitions:
        if definition.status == "active" or definition.merged_into:
            of.setdefault(definition.merged_into or definition.slug, {})[definition.rule.digest] = definition.rule
    return [
        replace(rule, slug=slug, digest=_digest(sorted(rules)) if len(rules) > 1 else rule.digest)
        for slug, rules in of.items()
        for rule in rules.values()
    ]


def read_file(path: Path) -> Definition:
    """Read one file. The slug is the file's name. Raises BadRules."""
    try:
        content = plain_yaml.read(path.read_text(encoding="utf-8"), trusted=True)
    except (OSError, UnicodeDecodeError, plain_yaml.Unreadable) as error:
        raise BadRules([Problem(path.name, "", f"the file cannot be read: {error}")]) from error
    return definition(path.stem, content, file=path.name)


def definition(slug: str, content: Any, *, file: str = "") -> Definition:
    """Turn the content of a file into a definition. Raises BadRules."""
    file = file or f"{slug}.yaml"
    problems = [
        Problem(file, ".".join(map(str, error.absolute_path)), error.message[:300])
        for error in _validator("").iter_errors(content)
    ]
    if not _validator("slug").is_valid(slug):
        problems.append(
            Problem(file, "", f"{slug} is not a slug; name the file in lower case, such as retry-storm.yaml")
        )
    if problems:
        raise BadRules(problems)
    rule = _Reader(file, slug, content["rule"]).rule()
    merged_into = content.get("merged_into")
    return Definition(
        slug=slug,
        name=content["name"],
        family=content["family"],
        counts=content["counts"],
        does_not_count=content["not"],
        advice=content["advice"],
        status="merged" if merged_into else content.get("status", "active"),
        merged_into=merged_into,
        rule=rule,
        positive=tuple(content["sentences"]["positive"]),
        near_misses=tuple(content["sentences"]["near_miss"]),
    )


@cache
def shipped() -> tuple[Definition, ...]:
    """The definitions that ship with the project, read once per process."""
    return tuple(read())


@cache
def _validator(part: str) -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]} if part else schema)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Reader:
    """Reads one rule that already satisfies the schema, collecting all of its problems."""

    def __init__(self, file: str, slug: str, content: Mapping[str, Any]) -> None:
        self.file, self.slug, self.content = file, slug, content
        self.problems: list[Problem] = []

    def rule(self) -> Rule:
        thresholds = self.content.get("thresholds", {})
        suggested = float(thresholds.get("suggested", SUGGESTED))
        automatic = float(thresholds.get("automatic", max(AUTOMATIC, suggested)))
        if automatic < suggested:
            self._refuse("rule.thresholds", "the threshold for automatic must be at least the one for suggested")
        lists = self._lists()
        groups = {name: self._group(name, group, lists) for name, group in self.content["groups"].items()}
        if not any(group.phrases and group.weight > 0 for group in groups.values()):
            self._refuse(
                "rule.groups", "at least one group needs phrases and a weight above 0, or there is no evidence to show"
            )
        ordered = self._ordered(groups)
        if self.problems:
            raise BadRules(self.problems)
        return Rule(
            slug=self.slug,
            groups=tuple(groups[name] for name in ordered),
            sections={name: float(weight) for name, weight in self.content.get("sections", {}).items()},
            suggested=suggested,
            automatic=automatic,
            digest=_digest([EDITION, self.content]),
        )

    def _refuse(self, place: str, reason: str) -> None:
        self.problems.append(Problem(self.file, place, reason))

    def _lists(self) -> dict[str, list[str]]:
        """The word lists, with references to other lists replaced by their entries."""
        raw: Mapping[str, Sequence[str]] = self.content.get("words", {})
        named = {
            name: [entry[1:-1] for entry in entries if entry.startswith("<") and entry.endswith(">")]
            for name, entries in raw.items()
        }
        for name, others in named.items():
            for other in others:
                if other not in raw:
                    self._refuse(f"rule.words.{name}", f"there is no word list named {other or 'nothing'}")
        if self.problems:
            return {}
        out: dict[str, list[str]] = {}
        for name in self._in_order(named, "rule.words"):
            out[name] = [entry for entry in raw[name] if entry[1:-1] not in named[name] or entry[0] != "<"]
            for other in named[name]:
                out[name] += out[other]
        return out

    def _group(self, name: str, group: Mapping[str, Any], lists: Mapping[str, Sequence[str]]) -> Group:
        place = f"rule.groups.{name}"
        weight = float(group["weight"])
        phrases = []
        for number, entry in enumerate(group.get("any", [])):
            text, own = (entry, weight) if isinstance(entry, str) else (entry["phrase"], float(entry["weight"]))
            try:
                phrases.append((parse(text, lists), own))
            except BadPhrase as error:
                self._refuse(f"{place}.any.{number}", f"“{text}” cannot be used: {error}")
        for key in ("requires", "excludes"):
            for other in group.get(key, []):
                if other not in self.content["groups"]:
                    self._refuse(f"{place}.{key}", f"there is no group named {other}")
        return Group(
            name=name,
            weight=weight,
            cap=float(group["cap"]) if "cap" in group else None,
            phrases=tuple(phrases),
            sections=frozenset(group["in"]) if "in" in group else None,
            heeds_negation=group.get("negation") != "ignore",
            requires=frozenset(group.get("requires", ())),
            excludes=frozenset(group.get("excludes", ())),
            when=tuple(self._condition(place, fact, expected) for fact, expected in group.get("when", {}).items()),
        )

    def _condition(self, place: str, fact: str, expected: Any) -> Condition:
        if isinstance(expected, bool):
            return Condition(fact, flag=expected)
        if isinstance(expected, Mapping) and "none_of" not in expected:
            return Condition(fact, at_least=expected.get("at_least"), at_most=expected.get("at_most"))
        values = expected["none_of"] if isinstance(expected, Mapping) else expected
        for value in values:
            if fact in _CHOICES and value not in _CHOICES[fact]:
                self._refuse(f"{place}.when.{fact}", f"{value} is not one of {', '.join(_CHOICES[fact])}")
        if isinstance(expected, Mapping):
            return Condition(fact, none_of=frozenset(values))
        return Condition(fact, values=frozenset(values))

    def _ordered(self, groups: Mapping[str, Group]) -> list[str]:
        if self.problems:
            return list(groups)
        return self._in_order({name: sorted(g.requires | g.excludes) for name, g in groups.items()}, "rule.groups")

    def _in_order(self, names: Mapping[str, Iterable[str]], place: str) -> list[str]:
        """Sort the names so that each comes after those it refers to. Raises BadRules for a circular reference."""
        out: list[str] = []
        path: list[str] = []

        def visit(name: str) -> None:
            if name in out:
                return
            if name in path:
                circle = " -> ".join([*path[path.index(name) :], name])
                raise BadRules(
                    [*self.problems, Problem(self.file, f"{place}.{name}", f"this is a circular reference: {circle}")]
                )
            path.append(name)
            for other in names[name]:
                visit(other)
            path.pop()
            out.append(name)

        for name in names:
            visit(name)
        return out
