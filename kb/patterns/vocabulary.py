"""The vocabulary of recurring failure patterns: read from its file into rows.

A slug, once published, never changes its meaning. A pattern that left the file stays: tags and saved searches refer
to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.db import transaction

from incidents import outbox
from incidents.actions.change import audit
from incidents.errors import Invalid, NotAllowed
from incidents.scopes import Viewer
from incidents.vocabulary import Family
from kb.patterns.models import Pattern, PatternStatus, Tag

FILE: Path = settings.BASE_DIR / "fixtures" / "patterns.yaml"


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """The patterns of the file as columns of Pattern; `merged_into` is a slug. Raises Invalid, naming the pattern."""
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = {}
    for place, entry in enumerate(definition["patterns"]):
        slug = entry.get("slug") or f"patterns.{place}"
        if slug in found:
            raise Invalid({slug: "This pattern stands here twice."})
        if lacking := [key for key in ("slug", "name", "family", "counts") if not entry.get(key)]:
            raise Invalid({slug: f"It lacks {', '.join(lacking)}."})
        if entry["family"] not in Family.values:
            raise Invalid({slug: f"{entry['family']} is none of the families {', '.join(Family.values)}."})
        merged_into = entry.get("merged_into")
        found[slug] = {
            "slug": slug,
            "name": entry["name"],
            "family": entry["family"],
            "counts": entry["counts"],
            "does_not_count": entry.get("not", ""),
            "advice": entry.get("advice", ""),
            "status": PatternStatus.MERGED if merged_into else entry.get("status", PatternStatus.ACTIVE),
            "merged_into": merged_into,
        }
    for slug, columns in found.items():
        if columns["status"] not in PatternStatus.values:
            raise Invalid({slug: f"{columns['status']} is none of {', '.join(PatternStatus.values)}."})
        if columns["merged_into"] is not None and columns["merged_into"] not in found:
            raise Invalid({slug: f"There is no pattern {columns['merged_into']} to merge it into."})
    return list(found.values())


def slugs(path: Path = FILE) -> frozenset[str]:
    return frozenset(columns["slug"] for columns in read(path))


def load(*, actor: Viewer, path: Path = FILE) -> int:
    """Make the rows what the file says; returns how many were written. Raises Invalid, NotAllowed."""
    if not actor.is_admin:
        raise NotAllowed("Only admins change the vocabulary.")
    wanted = read(path)
    with transaction.atomic():
        here = {pattern.slug: pattern for pattern in Pattern.objects.select_related("merged_into")}
        written: list[Pattern] = []
        for columns in wanted:
            pattern = here.get(columns["slug"]) or Pattern(slug=columns["slug"])
            if _write(pattern, {name: value for name, value in columns.items() if name != "merged_into"}):
                audit(actor, "pattern.saved", pattern, slug=pattern.slug, version=pattern.version)
                written.append(pattern)
            here[pattern.slug] = pattern
        # In a second round, so that a pattern may be merged into one that stands further below.
        for columns in wanted:
            pattern = here[columns["slug"]]
            target = here[columns["merged_into"]] if columns["merged_into"] else None
            if pattern.merged_into_id != (target.pk if target else None):
                pattern.merged_into = target
                pattern.save(update_fields=["merged_into"])
                audit(actor, "pattern.merged", pattern, slug=pattern.slug, into=target.slug if target else None)
                written.append(pattern)
        # Documents carry their patterns' families and leave out patterns that are not active.
        tagged = Tag.objects.filter(pattern__in=written).values_list("incident_id", flat=True).distinct()
        if incident_ids := list(tagged):
            outbox.raise_index_version(incident_ids)
    return len({pattern.pk for pattern in written})


def _write(pattern: Pattern, columns: dict[str, Any]) -> bool:
    """Set and save what differs; False when nothing does."""
    if pattern.pk and all(getattr(pattern, name) == value for name, value in columns.items()):
        return False
    for name, value in columns.items():
        setattr(pattern, name, value)
    if pattern.pk:
        pattern.version += 1
    pattern.save()
    return True
