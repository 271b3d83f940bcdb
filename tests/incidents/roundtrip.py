"""Helpers for round trips: export incidents, empty the installation, import the documents, and compare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from incidents.actions import lifecycle
from incidents.actions.compose import write_incident
from incidents.actions.organizations import change_organization
from incidents.actions.sections import add_row, change_section
from incidents.export import json_document, readings
from incidents.importing import documents
from incidents.importing.execution import add_links, import_candidate, take_snapshot
from incidents.importing.planning import plan
from incidents.models import Incident, Organization, PostmortemTemplate, Row, Service, Team
from incidents.records import KINDS
from incidents.scopes import Viewer
from tests.conftest import Cast, begin, fill

LOST = ("id", "ref", "external_id", "origin", "created_at", "revision", "published_at")


def comparable(document: dict[str, Any], draft: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document without what an installation assigns, and with rows named by their place instead of their id.

    For a published text, `draft` maps the ids of its draft's rows to their places.
    """
    said = "" if draft is None else "published "
    places = {row["id"]: f"{said}{kind}.{place}" for kind in KINDS for place, row in enumerate(document[kind])}
    places.update(draft or {})
    out = {key: value for key, value in document.items() if key not in LOST}
    out["template"] = document["template"]["key"]
    out["sections"] = [{**section, "id": None} for section in document["sections"]]
    for kind in KINDS:
        out[kind] = [{**row, "id": places[row["id"]]} for row in document[kind]]
    out["sources"] = [
        {**row, "supports": [places.get(name, name) for name in row["supports"]]} for row in out["sources"]
    ]
    out["links"] = sorted(
        (one["kind"], one["direction"], one["note"], one["incident"]["title"]) for one in document.get("links", [])
    )
    if "published" in document:
        out["published"] = comparable(document["published"], places)
    return out


def export_all(viewer: Viewer) -> Iterator[dict[str, Any]]:
    return (json_document(reading) for reading in readings(viewer))


def exported() -> dict[str, dict[str, Any]]:
    return {document["title"]: document for document in export_all(Viewer.system())}


def empty() -> None:
    Incident.objects.update(published_revision=None)
    for model in (Incident, Service, Team, PostmortemTemplate):
        model.objects.all().delete()
    Organization.objects.all().delete()


def brought_in(found: Any) -> list[str]:
    """Import documents as the command does; returns every note and reason."""
    candidates = list(documents.read_all("all.json", json.dumps(found)))
    here, actor = take_snapshot(), Viewer.system()
    done = [import_candidate(actor, planned, here) for planned in plan(candidates, here)]
    lines = [line for one in done for line in [*one.notes, one.reason] if line]
    return lines + [note for _, note in add_links(actor, done, here)]


def make_rich(cast: Cast) -> Incident:
    """One incident with everything that the record can hold."""
    actor = cast.viewer("author")
    change_organization(
        actor=cast.viewer("admin"),
        organization_id=cast.home.pk,
        values={"website": "https://acme.example", "sector": "retail"},
    )
    incident = begin(
        cast,
        "Rich",
        severity="sev2",
        time_zone="America/New_York",
        started="2026-03-03T09:03:20",
        detected="2026-03-03T10:00",
        mitigated={"at": "2026-03-03T11:00", "precision": "hour"},
        resolved="2026-03-03",
        planned_change=True,
        stated_duration={"seconds": 9000, "text": "two and a half hours"},
        detected_by="customer",
        mitigations=["rollback", "other"],
        services=["Cart", "Search"],
        visibility="public",
    )
    fill(cast, incident)

    def add(kind: str, /, **values: Any) -> Row:
        return add_row(actor=actor, incident_id=incident.pk, kind=kind, values=values)

    figure = add(
        "impact_figures", label="Orders", qualifier="at_least", value="1234.5678", unit="orders", source="a dashboard"
    )
    event = add(
        "timeline",
        at="2026-03",
        precision="month",
        kind="change",
        text="Begun\n\n- with a list",
        data_url="https://data.example/1",
    )
    add("timeline", at="2026-03-03T09:05", kind="other", text="Then")
    add("causes", kind="contributing", family=None, text="No family is known")
    add("actions", kind="process", state="done", text="Done", due="2026-04-01")
    add(
        "sources",
        url="https://x.example",
        title="X",
        published="2026-03",
        looked_up="2026-05-01",
        primary=True,
        archive_url="https://archive.example/x",
        publisher="Xavier",
        supports=["started", str(figure.uuid), str(event.uuid)],
    )
    add("disagreements", about="started", text="Some say earlier")
    change_section(
        actor=actor, incident_id=incident.pk, key="lucky", body="# A heading\n\nIt was **Sunday** \U0001f98a."
    )
    change_section(actor=actor, incident_id=incident.pk, key="sources", none_reason="Kept although there is one")
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    return incident


def make_reopened(cast: Cast) -> Incident:
    """A reopened incident whose draft differs from its published text in everything that can differ."""
    incident, author = make_rich(cast), cast.viewer("author")
    lifecycle.reopen(actor=author, incident_id=incident.pk)
    (cause,) = incident.causes.filter(family=None)
    actions = [{"id": str(action.uuid), "state": "done"} for action in incident.actionitems.all()]
    write_incident(
        actor=author,
        incident_id=incident.pk,
        body={
            "title": "Reopened",
            "severity": "sev1",
            "organization": "Elsewhere",
            "services": ["Cart", "Till"],
            "time_zone": "America/Los_Angeles",
            "started": "2026-03-02",
            "detected": None,
            "stated_duration": None,
            "mitigations": [],
            "sections": {"summary": {"body": "Unfinished."}, "impact": {"body": ""}, "sources": {"none_reason": ""}},
            "causes": [
                {"kind": "root", "family": None, "text": "Found later"},
                {"id": str(cause.uuid), "kind": "contributing", "family": "trust", "text": "Told better"},
            ],
            "lessons": [],
            "actions": actions[:1],
            "impact_figures": [],
        },
    )
    return incident
