"""Every write to tags: one transaction of the tag, its audit entry, and the index version of its incident."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from incidents import outbox
from incidents.actions.change import audit, locked
from incidents.errors import NotAllowed
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns.anchors import Anchor
from kb.patterns.models import Pattern, Tag, TagSource, TagState


def curate(*, actor: Viewer, incident: Incident, evidence: Mapping[str, Sequence[Anchor]]) -> int:
    """Make an incident's curated tags exactly these patterns, by slug, with their evidence; returns how many changed.

    A tag that a person decided on stays as decided. A curated tag that is no longer wanted is withdrawn. A slug that
    the vocabulary does not know is left out; one that was merged into another is the other.
    """
    if not actor.is_system:
        raise NotAllowed("Curated tags come with the public outages.")
    with transaction.atomic():
        # Whoever else decides about its tags, or curates them too, waits here or was first.
        locked(actor, incident.pk)
        wanted: dict[Pattern, list[Anchor]] = {}
        for pattern in Pattern.objects.filter(slug__in=evidence).select_related("merged_into"):
            wanted.setdefault(pattern.merged_into or pattern, []).extend(evidence[pattern.slug])
        here = {tag.pattern_id: tag for tag in Tag.objects.filter(incident=incident).select_related("pattern")}
        changed = [
            tag
            for pattern, anchors in wanted.items()
            if (tag := _confirmed(incident, pattern, here.get(pattern.pk), anchors)) is not None
        ]
        for tag in here.values():
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
    """The tag as the curator wants it, not yet saved; None when it is so already or a person decided otherwise."""
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


# From what gives way to what stays where an incident carries two tags that become one.
_WEIGHT = (TagState.WITHDRAWN, TagState.SUGGESTED, TagState.AUTOMATIC, TagState.REJECTED, TagState.CONFIRMED)


def merge(*, actor: Viewer, pattern: Pattern, into: Pattern, held: Collection[int]) -> int:
    """Make the tags of a pattern tags of the one that it was merged into; returns how many there were.

    `held` are the ids of the incidents whose tags move: the caller has locked them, as whoever decides about their tags
    does, before the tags are read here.

    An incident that carries both keeps the weightier: what was confirmed, then what a person rejected, be it suggested
    again or not, then what a rule found. Inside a transaction of the caller's.
    """
    if not actor.is_admin:
        raise NotAllowed("Only admins change the vocabulary.")
    tags = pattern.tags.filter(incident_id__in=held)
    moving = list(tags.order_by("incident_id"))
    if not moving:
        return 0
    ids = [tag.incident_id for tag in moving]
    there = {tag.incident_id: tag for tag in into.tags.filter(incident_id__in=ids)}
    giving_way = [min(tag, there[tag.incident_id], key=_weight).pk for tag in moving if tag.incident_id in there]
    Tag.objects.filter(pk__in=giving_way).delete()
    # Their rule is the other's now, and what they were found or rejected with is its version of today.
    tags.filter(rule_version__isnull=False).update(rule_version=into.rule_version)
    tags.update(pattern=into)
    audit(actor, "tags.merged", pattern, slug=pattern.slug, into=into.slug, incidents=ids)
    outbox.raise_index_version(ids)
    return len(moving)


def _weight(tag: Tag) -> tuple[int, bool]:
    is_decided = tag.decided_by_id is not None
    # What is suggested again carries the rejection, which would go with it.
    is_suggested_again = is_decided and tag.state == TagState.SUGGESTED
    return _WEIGHT.index(TagState.REJECTED if is_suggested_again else TagState(tag.state)), is_decided
