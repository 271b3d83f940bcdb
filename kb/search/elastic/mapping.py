"""How documents are analyzed and stored. A changed mapping has a different fingerprint, and needs a new generation."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, WEIGHTS
from kb.search.elastic import words


def field_of(section: str) -> str:
    """The indexed field that holds a section's text."""
    return f"text.{section}"


def _text() -> dict[str, Any]:
    return {
        "type": "text",
        "analyzer": "words",
        # Lets the unified highlighter work without analyzing the text again.
        "index_options": "offsets",
        "copy_to": ["identifiers"],
    }


# The sections that teams add to templates share one field, which holds a list of their texts.
OWN = "other"
# The standard sections, and that field.
SECTIONS = (
    "title",
    "ref",
    "summary",
    "impact",
    "timeline",
    "detection",
    "trigger",
    "causes",
    "mitigation",
    "resolution",
    "went_well",
    "went_wrong",
    "lucky",
    "surprises",
    "precedent",
    "lessons",
    "actions",
    "customer_message",
    "sources",
    "organization",
    "services",
    "external_id",
    "started",
    OWN,
)


def weight_of(section: str) -> float:
    return WEIGHTS[FIELD_WEIGHTS.get(section, DEFAULT_WEIGHT)]


def mapping() -> dict[str, Any]:
    keyword = {"type": "keyword", "ignore_above": 256}
    return {
        "dynamic": "strict",
        "_source": {"excludes": ["identifiers"]},
        "properties": {
            "deleted": {"type": "boolean"},
            "incident_id": {"type": "long"},
            "index_version": {"type": "long"},
            "mark": {
                "dynamic": "strict",
                "properties": {
                    "entry": {"type": "long"},
                    "at": {"type": "date"},
                    "fingerprint": {"type": "keyword", "index": False},
                },
            },
            "text": {"dynamic": "strict", "properties": {section: _text() for section in SECTIONS}},
            # The keys of a team's own sections, in the order of their texts in the shared field.
            "own": {"type": "object", "enabled": False},
            "identifiers": {"type": "text", "analyzer": "identifiers"},
            "facets": {
                "dynamic": "strict",
                "properties": dict.fromkeys(
                    (
                        "organization",
                        "severity",
                        "status",
                        "origin",
                        "detected_by",
                        "year",
                        "duration",
                        "pattern",
                        "family",
                        "mitigation",
                    ),
                    keyword,
                ),
            },
            "values": {
                "dynamic": "strict",
                "properties": dict.fromkeys(("organization", "service", "team", "has"), keyword),
            },
            "access": {
                "dynamic": "strict",
                "properties": {
                    "visibility": keyword,
                    "team_id": {"type": "long"},
                    "published": {"type": "boolean"},
                    "status": keyword,
                    "reviewers": {"type": "long"},
                },
            },
            "started_at": {"type": "date"},
            "duration_seconds": {"type": "long"},
            "duration_counts": {"type": "boolean"},
            "due": {"type": "date"},
            "shown": {"type": "object", "enabled": False},
        },
    }


def settings() -> dict[str, Any]:
    """One shard: a knowledge base is small, and one shard makes scores and totals exact."""
    return {
        "number_of_shards": 1,
        "number_of_replicas": 0,
        "refresh_interval": "1s",
        "max_result_window": 10_000,
        "analysis": words.analysis(),
    }


@cache
def fingerprint() -> str:
    """Changes whenever documents would be analyzed or stored differently."""
    body = json.dumps([mapping(), settings()], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def body() -> dict[str, Any]:
    """The request body that creates an index."""
    return {"settings": settings(), "mappings": {**mapping(), "_meta": {"fingerprint": fingerprint()}}}
