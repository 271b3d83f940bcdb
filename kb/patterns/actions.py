"""Writes to tags when famous outages are loaded or patterns are merged.

The tags, their audit entries and the index versions of their incidents change in one transaction. People's decisions
are in kb/patterns/decisions.py, and what the rules find is written by kb/patterns/tagging.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from incidents import outbox
from incidents.actions.change import audit, lock_incident
from incidents.errors import NotAllowed
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns.anchors import Anchor
from kb.patterns.models import Pattern, Tag, TagSource, TagState


def curate(*, actor: Viewer, incident: Incident, evidence: Mapping[str, Sequence[Anchor]]) -> int:
    """Set an incident's curated tags to exactly these patterns, given as {slug: evidence}; returns how many changed.

    A tag that a person has decided on keeps that decision. A curated tag that is no longer wanted is withdrawn. Slugs
    that the vocabulary does not know are skipped, and a merged pattern counts as the one it was merged into. Raises
    NotAllowed for any actor but the system, and Missing for a deleted incident.
    """
    if not actor.is_system:
        raise NotAllowed("Curated tags can only be set by loading the famous outages.")
    with transaction.atomic():
        # Row lock: a concurrent decision or a second loader waits here until this one commits.
        lock_incident(actor, incident.pk)
        wanted: dict[Pattern, list[Anchor]] = {}
        for pattern in Pattern.objects.filter(slug__in=evidence).select_related("merged_into"):
            wanted.setdefault(pattern.merged_into or pattern, []).extend(evidence[pattern.slug])
        existing = {tag.pattern_id: tag for tag in Tag.objects.filter(incident=incident).select_related("pattern")}
        changed = [
            tag
            for pattern, anchors in wanted.items()
            if (tag := _confirmed(incident, pattern, existing.get(pattern.pk), anchors)) is not None
        ]
        for tag in existing.values():
            gone = tag.pattern not in wanted and tag.state != TagState.WITHDRAWN
            if gone and tag.source == TagSource.CURATOR and tag.decided_by_id is None:
                tag.state, tag.evidence = TagState.WITHDRAWN, []
                changed.append(tag)
        for tag in changed:
            tag.save()
            audit(actor, "tag.curated", tag, incident=incident, pattern=tag.pattern.slug, state=tag.state)
        if changed:
            outbox.raise_index_version([incident.pk])
    return len(changed)


def _confirmed(incident: Incident, pattern: Pattern, tag: Tag | None, anchors: Sequence[Anchor]) -> Tag | None:
    """The unsaved tag as the curator wants it; None if it is already that way or a person has decided on it."""
    tag = tag or Tag(incident=incident, pattern=pattern)
    if tag.decided_by_id is not None:
        return None
    wanted = {
        "source": TagSource.CURATOR,
        "state": TagState.CONFIRMED,
        "evidence": [anchor.stored() for anchor in anchors],
        "rule_version": None,
        "score": None,
    }
    if tag.pk and all(getattr(tag, name) == value for name, value in wanted.items()):
        return None
    for name, value in wanted.items():
        setattr(tag, name, value)
    return tag


# When a merge leaves an incident with two tags for one pattern, the later state in this order wins.
_PRECEDENCE = (TagState.WITHDRAWN, TagState.SUGGESTED, TagState.AUTOMATIC, TagState.REJECTED, TagState.CONFIRMED)


def merge(*, actor: Viewer, pattern: Pattern, into: Pattern, locked_ids: Collection[int]) -> int:
    """Move the tags of a merged pattern to the pattern it was merged into; returns how many were moved.

    Must run inside the caller's transaction. `locked_ids` are the ids of the incidents whose tags move; the caller must
    hold their row locks, which decisions about tags take as well.

    An incident that carries both tags keeps the stronger one: a confirmed tag wins over one that a person rejected
    (whether or not it was suggested again), and that one wins over what a rule found. Raises NotAllowed.
    """
    if not actor.is_admin:
        raise NotAllowed("Only admins can change the vocabulary.")
    tags = pattern.tags.filter(incident_id__in=locked_ids)
    moving = list(tags.order_by("incident_id"))
    if not moving:
        return 0
    ids = [tag.incident_id for tag in moving]
    there = {tag.incident_id: tag for tag in into.tags.filter(incident_id__in=ids)}
    losing = [min(tag, there[tag.incident_id], key=_precedence).pk for tag in moving if tag.incident_id in there]
    Tag.objects.filter(pk__in=losing).delete()
    # The other pattern's rule governs these tags from here on, so they take its current version.
    tags.filter(rule_version__isnull=False).update(rule_version=into.rule_version)
    tags.update(pattern=into)
    audit(actor, "tags.merged", pattern, slug=pattern.slug, into=into.slug, incidents=ids)
    outbox.raise_index_version(ids)
    return len(moving)


def _precedence(tag: Tag) -> tuple[int, bool]:
    is_decided = tag.decided_by_id is not None
    # A tag that is suggested again still carries a rejection, which must not be lost in the merge.
    is_suggested_again = is_decided and tag.state == TagState.SUGGESTED
    return _PRECEDENCE.index(TagState.REJECTED if is_suggested_again else TagState(tag.state)), is_decided
