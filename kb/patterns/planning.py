"""Plans how the rules change an incident's tags. Pure: kb/patterns/tagging.py writes what is planned here.

- A person's decision stays. A pattern that a person rejected can be suggested again only by a later version of the rule
  and only with a sentence that they had not seen. The rejection is kept with that suggestion: no rule can promote it,
  and once no new sentence supports it, it becomes the earlier rejection again, with the sentences of that time.
- A curator's tag stays. On incidents that curators have judged (the famous outages), a match that would be automatic is
  only suggested, and a match that would be suggested is dropped.
- A rule's tag follows its rule: it appears, changes its state, and is withdrawn as the text and the rule change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb.patterns.anchors import Anchor, hash_of
from kb.patterns.matcher import Evidence, Match
from kb.patterns.models import Tag, TagSource, TagState


@dataclass(frozen=True, slots=True)
class CurrentTag:
    """A tag as it is. `is_decided`: by a person. A decided suggestion was rejected and then suggested again."""

    source: str
    state: str
    is_decided: bool
    rule_version: int | None
    score: float | None
    evidence: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, tag: Tag) -> CurrentTag:
        return cls(tag.source, tag.state, tag.decided_by_id is not None, tag.rule_version, tag.score, tag.evidence)


@dataclass(frozen=True, slots=True)
class PlannedTag:
    """The planned state of a tag."""

    state: str
    rule_version: int
    score: float | None
    evidence: tuple[Mapping[str, Any], ...]

    @property
    def columns(self) -> dict[str, Any]:
        """The plan as column values of the tag's row."""
        return {
            "source": TagSource.RULE,
            "state": self.state,
            "rule_version": self.rule_version,
            "score": self.score,
            "evidence": list(self.evidence),
        }

    def matches(self, current: CurrentTag) -> bool:
        """Whether the tag already matches this plan, apart from the version of its rule."""
        return current.source == TagSource.RULE and (current.state, current.score, tuple(current.evidence)) == (
            self.state,
            self.score,
            self.evidence,
        )


def plan(
    current: Mapping[str, CurrentTag],
    matches: Mapping[str, Match],
    *,
    versions: Mapping[str, int],
    texts: Mapping[str, str],
    is_curated: bool = False,
) -> dict[str, PlannedTag]:
    """The changes, by slug; empty if the tags already are what the rules say.

    `versions` are those of the rules that were run; tags of other patterns are left alone. `texts` are the fields in
    which the matches were found. `is_curated`: curators have judged this incident.
    """
    out: dict[str, PlannedTag] = {}
    for slug, version in versions.items():
        tag, match = current.get(slug), matches.get(slug)
        if match is not None and is_curated:
            match = replace(match, state=TagState.SUGGESTED) if match.state == TagState.AUTOMATIC else None
        planned = (
            _withdrawn(tag, version)
            if match is None
            else _found(tag, match, version, [_anchored(one, texts) for one in match.evidence])
        )
        if planned is not None:
            out[slug] = planned
    return out


def _found(
    current: CurrentTag | None, match: Match, version: int, evidence: Sequence[Mapping[str, Any]]
) -> PlannedTag | None:
    planned = PlannedTag(match.state, version, match.score, tuple(evidence))
    if current is None:
        return planned
    if current.is_decided:
        return _suggested_again(current, planned)
    if current.state == TagState.WITHDRAWN:
        return planned
    if current.source != TagSource.RULE or (current.rule_version == version and planned.matches(current)):
        return None
    return planned


def _withdrawn(current: CurrentTag | None, version: int) -> PlannedTag | None:
    """The plan for a tag whose rule finds nothing, or only sentences that were rejected before."""
    if current is None or current.source != TagSource.RULE or current.state == TagState.WITHDRAWN:
        return None
    if current.is_decided:
        was_suggested_again = current.state == TagState.SUGGESTED
        seen = tuple(rejected_before(current.evidence))
        return PlannedTag(TagState.REJECTED, version, current.score, seen) if was_suggested_again else None
    return PlannedTag(TagState.WITHDRAWN, version, None, ())


def _suggested_again(current: CurrentTag, planned: PlannedTag) -> PlannedTag | None:
    """The plan for a decided tag that the rule finds: at most a suggestion."""
    if current.state not in (TagState.REJECTED, TagState.SUGGESTED):
        return None
    was_rejected = current.state == TagState.REJECTED
    # Without a version, it is unknown whether the rule is later than the one in force when the tag was rejected.
    if was_rejected and current.rule_version in (None, planned.rule_version):
        return None
    seen = current.evidence if was_rejected else rejected_before(current.evidence)
    quotes = {anchor["quote"] for anchor in seen}
    if all(anchor["quote"] in quotes for anchor in planned.evidence):
        return _withdrawn(current, planned.rule_version)
    kept = ({**anchor, "rejected": True} for anchor in seen)
    again = replace(planned, state=TagState.SUGGESTED, evidence=(*planned.evidence, *kept))
    return None if current.rule_version == again.rule_version and again.matches(current) else again


def rejected_before(evidence: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """From the evidence of a tag that is suggested again, the anchors of the earlier rejection, as stored back then."""
    return [
        {name: value for name, value in anchor.items() if name != "rejected"}
        for anchor in evidence
        if anchor.get("rejected")
    ]


def _anchored(evidence: Evidence, texts: Mapping[str, str]) -> dict[str, Any]:
    anchor = Anchor(evidence.field, hash_of(texts[evidence.field]), evidence.start, evidence.end, evidence.quote)
    return anchor.stored()
