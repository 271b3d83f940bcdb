"""What the rules change in an incident's tags: decided here as values, carried out by kb/patterns/tagging.py.

- What a person decided stays. Only a later version of the rule may suggest again what a person rejected, and only with
  a sentence that they had not seen. Their rejection stays with the suggestion, which no rule makes more than that, and
  which is rejected as before, with the sentences of then, once nothing else speaks for it.
- What a curator set stays. Where curators have judged, as of public outages, a rule that is sure suggests and one that
  is not stays silent.
- A tag of a rule follows its rule: it appears, changes its state and is withdrawn as the text and the rule change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb.patterns.anchors import Anchor, hash_of
from kb.patterns.matcher import Evidence, Match
from kb.patterns.models import Tag, TagSource, TagState


@dataclass(frozen=True, slots=True)
class Standing:
    """A tag as it is. `is_decided`: by a person, whose word it then is; a suggestion that is decided was rejected
    before."""

    source: str
    state: str
    is_decided: bool
    rule_version: int | None
    score: float | None
    evidence: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, tag: Tag) -> Standing:
        return cls(tag.source, tag.state, tag.decided_by_id is not None, tag.rule_version, tag.score, tag.evidence)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tag becomes."""

    state: str
    rule_version: int
    score: float | None
    evidence: tuple[Mapping[str, Any], ...]

    @property
    def columns(self) -> dict[str, Any]:
        """Of the tag's row."""
        return {
            "source": TagSource.RULE,
            "state": self.state,
            "rule_version": self.rule_version,
            "score": self.score,
            "evidence": list(self.evidence),
        }

    def is_of(self, here: Standing) -> bool:
        """Says the tag so already, but for the version of the rule?"""
        return here.source == TagSource.RULE and (here.state, here.score, tuple(here.evidence)) == (
            self.state,
            self.score,
            self.evidence,
        )


def plan(
    here: Mapping[str, Standing],
    matches: Mapping[str, Match],
    *,
    versions: Mapping[str, int],
    texts: Mapping[str, str],
    is_curated: bool = False,
) -> dict[str, Wanted]:
    """What changes, by slug; empty when the tags are as the rules say.

    `versions` are those of the rules that were asked: tags of other patterns are left alone. `texts` are the fields
    that the matches were found in.
    """
    out: dict[str, Wanted] = {}
    for slug, version in versions.items():
        standing, match = here.get(slug), matches.get(slug)
        if match is not None and is_curated:
            match = replace(match, state=TagState.SUGGESTED) if match.state == TagState.AUTOMATIC else None
        wanted = (
            _withdrawn(standing, version)
            if match is None
            else _found(standing, match, version, [_anchored(one, texts) for one in match.evidence])
        )
        if wanted is not None:
            out[slug] = wanted
    return out


def _found(here: Standing | None, match: Match, version: int, evidence: Sequence[Mapping[str, Any]]) -> Wanted | None:
    wanted = Wanted(match.state, version, match.score, tuple(evidence))
    if here is None:
        return wanted
    if here.is_decided:
        return _suggested_again(here, wanted)
    if here.state == TagState.WITHDRAWN:
        return wanted
    if here.source != TagSource.RULE or (here.rule_version == version and wanted.is_of(here)):
        return None
    return wanted


def _withdrawn(here: Standing | None, version: int) -> Wanted | None:
    """Nothing speaks for the pattern any more, or nothing that was not rejected."""
    if here is None or here.source != TagSource.RULE or here.state == TagState.WITHDRAWN:
        return None
    if here.is_decided:
        was_suggested_again = here.state == TagState.SUGGESTED
        seen = tuple(rejected_before(here.evidence))
        return Wanted(TagState.REJECTED, version, here.score, seen) if was_suggested_again else None
    return Wanted(TagState.WITHDRAWN, version, None, ())


def _suggested_again(here: Standing, wanted: Wanted) -> Wanted | None:
    """What becomes of a decided tag that the rule finds: never more than a suggestion."""
    if here.state not in (TagState.REJECTED, TagState.SUGGESTED):
        return None
    was_rejected = here.state == TagState.REJECTED
    # Without a version nobody knows whether the rule is a later one than whoever rejected it knew.
    if was_rejected and here.rule_version in (None, wanted.rule_version):
        return None
    seen = here.evidence if was_rejected else rejected_before(here.evidence)
    quotes = {anchor["quote"] for anchor in seen}
    if all(anchor["quote"] in quotes for anchor in wanted.evidence):
        return _withdrawn(here, wanted.rule_version)
    kept = ({**anchor, "rejected": True} for anchor in seen)
    again = replace(wanted, state=TagState.SUGGESTED, evidence=(*wanted.evidence, *kept))
    return None if here.rule_version == again.rule_version and again.is_of(here) else again


def rejected_before(evidence: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of what is suggested again: the sentences that whoever rejected it had seen, as they were then."""
    return [
        {name: value for name, value in anchor.items() if name != "rejected"}
        for anchor in evidence
        if anchor.get("rejected")
    ]


def _anchored(evidence: Evidence, texts: Mapping[str, str]) -> dict[str, Any]:
    anchor = Anchor(evidence.field, hash_of(texts[evidence.field]), evidence.start, evidence.end, evidence.quote)
    return anchor.stored()
