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
class Standing:
    """A tag as it is. `is_decided`: by a person. A decided suggestion was rejected and then suggested again."""

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

    def is_of(self, here: Standing) -> bool:
        """Whether the tag already matches this plan, apart from the version of its rule."""
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
    """The changes, by slug; empty if the tags already are what the rules say.

    `versions` are those of the rules that were run; tags of other patterns are left alone. `texts` are the fields in
    which the matches were found. `is_curated`: curators have judged this incident.
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
    """The plan for a tag whose rule finds nothing, or only sentences that were rejected before."""
    if here is None or here.source != TagSource.RULE or here.state == TagState.WITHDRAWN:
        return None
    if here.is_decided:
        was_suggested_again = here.state == TagState.SUGGESTED
        seen = tuple(rejected_before(here.evidence))
        return Wanted(TagState.REJECTED, version, here.score, seen) if was_suggested_again else None
    return Wanted(TagState.WITHDRAWN, version, None, ())


def _suggested_again(here: Standing, wanted: Wanted) -> Wanted | None:
    """The plan for a decided tag that the rule finds: at most a suggestion."""
    if here.state not in (TagState.REJECTED, TagState.SUGGESTED):
        return None
    was_rejected = here.state == TagState.REJECTED
    # Without a version, it is unknown whether the rule is later than the one in force when the tag was rejected.
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
    """From the evidence of a tag that is suggested again, the anchors of the earlier rejection, as stored back then."""
    return [
        {name: value for name, value in anchor.items() if name != "rejected"}
        for anchor in evidence
        if anchor.get("rejected")
    ]


def _anchored(evidence: Evidence, texts: Mapping[str, str]) -> dict[str, Any]:
    anchor = Anchor(evidence.field, hash_of(texts[evidence.field]), evidence.start, evidence.end, evidence.quote)
    return anchor.stored()
