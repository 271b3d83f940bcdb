"""A made-up famous outage that keeps every rule, for tests to modify."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

SUMMARY = (
    "On a spring morning the ferry company Harbour Lines could sell no tickets for ninety minutes. A planned change of "
    "the seat map doubled the size of every message between two services. The queue that carries them has a limit on "
    "the size of a message, and from then on it refused all of them. Kiosks and the web shop showed an error page, and "
    "staff sold paper tickets at the piers. Engineers took the change back, and sales resumed at once."
)

OUTAGE: dict[str, Any] = {
    "id": "2021-harbour-seat-map",
    "title": "A larger seat map no longer fitted through the queue",
    "organization": {"name": "Harbour Lines", "website": "https://harbour.example", "sector": "transport"},
    "services": ["Ticket kiosks", "Web shop"],
    "severity": "sev2",
    "time_zone": "Europe/Oslo",
    "started": {"at": "2021-04-12T07:30", "precision": "minute"},
    "detected": {"at": "2021-04-12T07:38", "precision": "minute"},
    "mitigated": {"at": "2021-04-12T08:55", "precision": "minute"},
    "resolved": {"at": "2021-04-12T09:00", "precision": "minute"},
    "stated_duration": {"seconds": 5400, "text": "ninety minutes", "sources": ["report"]},
    "detected_by": "staff",
    "mitigations": ["rollback"],
    "impact_figures": [
        {
            "label": "Sailings with paper tickets",
            "qualifier": "exactly",
            "value": 14,
            "unit": "sailings",
            "sources": ["report"],
        }
    ],
    "sections": {
        "summary": SUMMARY,
        "impact": "Nobody could buy a ticket at a kiosk or on the web; fourteen sailings used paper.",
        "trigger": "A planned change of the seat map went out on Monday morning.",
    },
    "causes": [
        {
            "kind": "trigger",
            "family": "change",
            "text": "The new seat map doubled every message.",
            "sources": ["report"],
        },
        {
            "kind": "root",
            "family": "load",
            "text": "The queue refused messages above its limit.",
            "sources": ["report", "press"],
        },
    ],
    "timeline": [
        {
            "at": "2021-04-12T07:28",
            "precision": "minute",
            "kind": "change",
            "text": "The seat map goes out.",
            "sources": ["report"],
        },
        {
            "at": "2021-04-12T08:55",
            "precision": "minute",
            "kind": "mitigate",
            "text": "It is taken back.",
            "sources": ["report"],
        },
    ],
    "lessons": ["Know the limits of what carries your messages, and watch how near you are."],
    "actions": [{"kind": "detect", "state": "announced", "text": "Alert on refused messages.", "sources": ["report"]}],
    "patterns": [{"slug": "limit-reached", "sentence": "The queue refused messages above its limit."}],
    "links": [],
    "sources": [
        {
            "key": "report",
            "url": "https://harbour.example/report",
            "archive_url": None,
            "publisher": "Harbour Lines",
            "title": "What happened on 12 April",
            "published": "2021-04-20",
            "looked_up": "2026-01-05",
            "primary": True,
            "supports": [
                "organization",
                "services",
                "severity",
                "started",
                "detected",
                "mitigated",
                "resolved",
                "stated_duration",
                "detected_by",
                "mitigations",
                "summary",
                "impact",
                "trigger",
            ],
        },
        {
            "key": "press",
            "url": "https://press.example/ferries",
            "archive_url": None,
            "publisher": "The Pier",
            "title": "Paper tickets at the piers",
            "published": "2021-04",
            "looked_up": "2026-01-05",
            "primary": False,
            "supports": ["summary"],
        },
    ],
    "disagreements": [],
}


def outage(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(OUTAGE), **changes}


def other_outage(**changes: Any) -> dict[str, Any]:
    """An outage that shares nothing with the first: other texts, another day, another organization."""
    definition = outage(
        id="2022-lantern-clock",
        title="A clock that ran ahead locked everybody out",
        organization={"name": "Lantern", "website": None, "sector": "software"},
        services=[],
        started={"at": "2022-09-03", "precision": "day"},
        detected=None,
        mitigated=None,
        resolved=None,
        stated_duration=None,
        detected_by=None,
        mitigations=[],
        impact_figures=[],
        sections={
            "summary": " ".join(f"lantern{n} burned{n} out{n}" for n in range(25)) + ".",
            "impact": "No member could sign in for most of a Saturday.",
        },
        causes=[{"kind": "root", "family": "time", "text": "One clock ran four minutes ahead.", "sources": ["post"]}],
        timeline=[],
        lessons=["Compare clocks before you trust what they sign."],
        actions=[],
        patterns=[],
        sources=[
            {
                **deepcopy(OUTAGE["sources"][0]),
                "key": "post",
                "url": "https://lantern.example/clock",
                "supports": ["organization", "started", "severity", "summary", "impact"],
            }
        ],
    )
    return {**definition, **changes}


def write(folder: Path, *definitions: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for definition in definitions:
        text = yaml.safe_dump(definition, sort_keys=False, allow_unicode=True)
        (folder / f"{definition['id']}.yaml").write_text(text, encoding="utf-8")
    return folder
