"""Loads the vocabulary of recurring failure patterns from its files, one per pattern, into rows.

Once published, a slug never changes its meaning. A pattern whose file has been removed stays, because tags and saved
searches refer to it. A merged pattern is replaced by the pattern it was merged into: its tags move there, its rule
finds that pattern, and its slug resolves to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction

from incidents import outbox
from incidents.actions.change import audit, audit_each
from incidents.actions.imports import lock_imports
from incidents.errors import Invalid, NotAllowed
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns import rules
from kb.patterns.actions import merge
from kb.patterns.models import Pattern, Tag


def read(folder: Path | None = None) -> list[dict[str, Any]]:
    """The patterns of the folder, or the shipped ones that this process tags with, as column values of Pattern.

    `merged_into` is a slug. Raises Invalid, with the problems of each file.
    """
    try:
        definitions = rules.read(folder) if folder else rules.shipped()
    except rules.BadRules as error:
        refused: dict[str, list[str]] = {}
        for problem in error.problems:
            refused.setdefault(problem.file, []).append(f"{problem.place}: {problem.reason}".removeprefix(": "))
        raise Invalid(refused) from error
    asked = {rule.slug: rule.digest for rule in rules.in_use(definitions)}
    return [
        {
            "slug": definition.slug,
            "name": definition.name,
            "family": definition.family,
            "counts": definition.counts,
            "does_not_count": definition.does_not_count,
            "advice": definition.advice,
            "status": definition.status,
            "merged_into": definition.merged_into,
            "rule_digest": asked.get(definition.slug, definition.rule.digest),
        }
        for definition in definitions
    ]


def slugs() -> frozenset[str]:
    return frozenset(path.stem for path in rules.FOLDER.glob("*.yaml"))


def load(*, actor: Viewer, folder: Path | None = None) -> int:
    """Bring the rows in line with the files; returns how many patterns were written. Raises Invalid, NotAllowed.

    A changed rule gets a new version; kb/patterns/retagging.py then runs it on every incident.
    """
    if not actor.is_admin:
        raise NotAllowed("Only admins can change the vocabulary.")
    rows = read(folder)
    with transaction.atomic():
        lock_imports(actor)
        by_slug = {pattern.slug: pattern for pattern in Pattern.objects.select_related("merged_into")}
        # Search documents include the families of their patterns and leave out patterns that are not active.
        previous = {pattern.pk: (pattern.family, pattern.status) for pattern in by_slug.values()}
        written: list[Pattern] = []
        for columns in rows:
            pattern = by_slug.setdefault(columns["slug"], Pattern(slug=columns["slug"]))
            if _set(pattern, {name: value for name, value in columns.items() if name != "merged_into"}):
                written.append(pattern)
        Pattern.objects.bulk_create(pattern for pattern in written if pattern.pk is None)
        saved = [(pattern, {"slug": pattern.slug, "version": pattern.version}) for pattern in written]
        audit_each(actor, "pattern.saved", saved)
        # A second pass, so that a pattern can be merged into one whose file comes later.
        for columns in rows:
            pattern = by_slug[columns["slug"]]
            target = by_slug[columns["merged_into"]] if columns["merged_into"] else None
            if pattern.merged_into_id != (target.pk if target else None):
                pattern.merged_into = target
                pattern.save(update_fields=["merged_into"])
                audit(actor, "pattern.merged", pattern, slug=pattern.slug, into=target.slug if target else None)
                written.append(pattern)
        # All merged patterns, every time: a worker with the earlier vocabulary may have tagged with them since.
        merged = [(pattern, by_slug[pattern.merged_into.slug]) for pattern in by_slug.values() if pattern.merged_into]
        shown_differently = [one for one in written if previous.get(one.pk) != (one.family, one.status)]
        # Lock all these incidents at once, before touching their tags: decisions and the tagger take the incident's
        # lock first as well.
        touched = Tag.objects.filter(pattern__in=[*(pattern for pattern, _ in merged), *shown_differently])
        locked_ids = outbox.lock_incidents(touched.values_list("incident_id", flat=True))
        for pattern, into in merged:
            merge(actor=actor, pattern=pattern, into=into, locked_ids=locked_ids)
        if shown_differently:
            tagged = Tag.objects.filter(pattern__in=shown_differently)
            outbox.reindex(Incident.objects.filter(pk__in=tagged.values("incident")))
    return len({pattern.pk for pattern in written})


def _set(pattern: Pattern, columns: dict[str, Any]) -> bool:
    """Set the columns, and save the pattern if its row exists; False if nothing differs."""
    if pattern.pk and all(getattr(pattern, name) == value for name, value in columns.items()):
        return False
    if pattern.rule_digest != columns["rule_digest"]:
        pattern.rule_version += 1
    if pattern.status != columns["status"]:
        # A pattern that comes back into use must be run on every incident again.
        pattern.rule_applied = 0
    for name, value in columns.items():
        setattr(pattern, name, value)
    if pattern.pk:
        pattern.version += 1
        pattern.save()
    return True
