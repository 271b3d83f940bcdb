"""An incident's history: its revisions, the changes between any two, and the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from incidents import history as past
from incidents import scopes, template
from incidents.document import Reading, build, read, redacted
from incidents.errors import Missing
from incidents.models import AuditEntry, Revision
from incidents.records import KINDS
from incidents.wording import with_article
from kb.patterns.models import Pattern
from kb.web.request import Request
from kb.web.writing import changes
from kb.web.writing.access import get_only, incident_to_read

# Stands for the working copy where a revision number is expected.
WORKING_COPY = "now"
ENTRIES_PER_PAGE = 50

ACTION_WORDS = {
    "incident.created": "created it",
    "incident.changed": "changed facts",
    "incident.deleted": "deleted it",
    "incident.submitted": "sent it for review",
    "incident.withdrawn": "withdrew it from review",
    "incident.reviewed": "reviewed it",
    "incident.published": "published it",
    "incident.reopened": "reopened it",
    "incident.archived": "archived it",
    "incident.restored": "restored it from the archive",
    "incident.imported": "imported it",
    "incident.rewritten": "replaced the whole text",
    "incident.template_changed": "changed its template",
    "outage.loaded": "loaded it from its file",
    "section.changed": "edited a section",
    "link.added": "linked it to another incident",
    "link.changed": "changed a link",
    "link.removed": "removed a link",
    "tag.added": "added a pattern",
    "tag.confirmed": "confirmed a pattern",
    "tag.rejected": "rejected a pattern",
    "tag.undone": "undid the decision on a pattern",
    "tag.curated": "changed a pattern",
    "tags.changed": "updated the patterns",
}
ROW_ACTIONS = ("added", "changed", "removed", "moved")


@get_only
def history(request: Request, reference: str) -> HttpResponse:
    """The revisions, for everyone who can read the incident, and the audit log, for those who see the working copy."""
    reading = read(incident_to_read(request, reference), request.viewer)
    revisions = list(past.revisions(reading.incident, request.viewer).defer("document"))
    entries = Paginator(past.audit(reading.incident, request.viewer), ENTRIES_PER_PAGE).get_page(
        request.GET.get("page")
    )
    sections = {plan.key: plan.title for plan in template.section_plans(reading.incident.template)}
    patterns = _pattern_names(entries)
    context = {
        "incident": reading.document,
        "reading": reading,
        "revisions": revisions,
        "may_compare": reading.is_working_copy and len(revisions) + _has_draft(reading) > 1,
        "has_draft": _has_draft(reading),
        "entries": entries,
        "described_entries": [(entry, describe(entry, sections, patterns)) for entry in entries],
    }
    return render(request, "web/writing/history.html", context)


def _has_draft(reading: Reading) -> bool:
    """Whether the viewer sees a working copy that readers do not."""
    return reading.is_working_copy and reading.incident.status in scopes.UNPUBLISHED


def _pattern_names(entries: Iterable[AuditEntry]) -> dict[str, str]:
    """The names of the patterns in these entries, by slug."""
    slugs = {entry.change["pattern"] for entry in entries if "pattern" in entry.change}
    return dict(Pattern.objects.filter(slug__in=slugs).values_list("slug", "name"))


def describe(entry: AuditEntry, sections: Mapping[str, str], patterns: Mapping[str, str]) -> str:
    """An audit entry in words, without its actor.

    `sections` are titles by key and `patterns` names by slug. One that is gone is told by its key.
    """
    if entry.action in ACTION_WORDS:
        words = ACTION_WORDS[entry.action]
        match entry.action:
            case "incident.changed":
                # In page order, because PostgreSQL does not keep the order of JSON keys.
                order = list(changes.FACTS)
                changed = sorted(
                    entry.change, key=lambda name: (name not in order, order.index(name) if name in order else 0)
                )
                names = [changes.FACTS.get(name, name.replace("_", " ")).lower() for name in changed]
                return f"{words}: {', '.join(names)}"
            case "section.changed" if "key" in entry.change:
                key = str(entry.change["key"])
                return f"edited the section “{sections.get(key, key.replace('_', ' '))}”"
            case "incident.published" if "number" in entry.change:
                return f"published revision {entry.change['number']}"
            case "incident.reviewed":
                return "approved it" if entry.change.get("decision") == "approved" else "requested changes"
            case _ if "pattern" in entry.change:
                slug = str(entry.change["pattern"])
                return f"{words}: {patterns.get(slug, slug.replace('-', ' '))}"
        return words
    kind, _, step = entry.action.rpartition(".")
    if kind in KINDS and step in ROW_ACTIONS:
        return f"{step} {with_article(KINDS[kind].singular)}"
    return entry.action.replace(".", ": ").replace("_", " ")


@get_only
def compare(request: Request, reference: str) -> HttpResponse:
    """Compare two revisions: `?from=1&to=2`, or `to=now` for the working copy. The default is the two latest."""
    reading = read(incident_to_read(request, reference), request.viewer)
    revisions = list(past.revisions(reading.incident, request.viewer).defer("document"))
    choices = [*([WORKING_COPY] if _has_draft(reading) else []), *(str(revision.number) for revision in revisions)]
    if not choices:
        raise Missing
    after = request.GET.get("to") or choices[0]
    before = request.GET.get("from") or (choices[1] if len(choices) > 1 else choices[0])
    if before not in choices or after not in choices:
        raise Missing
    context = {
        "incident": reading.document,
        "choices": [(choice, "Working copy" if choice == WORKING_COPY else f"Revision {choice}") for choice in choices],
        "before": before,
        "after": after,
        "changes": changes.between(_document(request, reading, before), _document(request, reading, after)),
    }
    return render(request, "web/writing/compare.html", context)


def _document(request: Request, reading: Reading, which: str) -> dict[str, Any]:
    if which == WORKING_COPY:
        return build(reading.incident)
    revision: Revision = past.revisions(reading.incident, request.viewer).get(number=int(which))
    return revision.document if request.viewer.is_signed_in else redacted(revision.document)
