"""Randomly generated incidents come back equal from their export."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents import template, vocabulary
from incidents.actions import lifecycle
from incidents.actions.compose import create_with_content, write_incident
from incidents.actions.organizations import save_template
from incidents.errors import Invalid
from incidents.models import PostmortemTemplate
from incidents.records import KINDS
from incidents.scopes import Viewer
from tests.incidents.roundtrip import brought_in, comparable, empty, export_all

words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Co"), max_codepoint=0x1FFFF),
    min_size=1,
    max_size=12,
)
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
urls = st.sampled_from(["https://a.example/x", "http://b.example/?q=1", "https://c.example/ü"])
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns", "Europe/Lisbon"])
ats = st.sampled_from(["1999", "2008-08", "2019-07-02", "2019-07-02T13:42", "2019-10-27T01:30:05Z", "2024-02-29T23:59"])


def optional(strategy):
    return st.none() | strategy


def choices(values):
    return st.sampled_from(list(values))


rows = st.fixed_dictionaries(
    {
        "timeline": st.lists(
            st.fixed_dictionaries(
                {"at": ats, "kind": choices(vocabulary.EventKind.values), "text": texts, "data_url": st.just("") | urls}
            ),
            max_size=3,
        ),
        "causes": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": choices(vocabulary.CauseKind.values),
                    "family": optional(choices(vocabulary.Family.values)),
                    "text": texts,
                }
            ),
            max_size=3,
        ),
        "lessons": st.lists(st.fixed_dictionaries({"text": texts}), max_size=3),
        "actions": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": choices(vocabulary.ActionKind.values),
                    "state": choices(vocabulary.ActionState.values),
                    "text": texts,
                    "owner": optional(st.just("lead@acme.example")),
                    "due": optional(st.dates().map(str)),
                    "tracker_url": st.just("") | urls,
                    "done_at": optional(st.just("2026-05-01T10:00:00+00:00")),
                }
            ).map(lambda row: row if row["state"] == "done" else {**row, "done_at": None}),
            max_size=3,
        ),
        "impact_figures": st.lists(
            st.fixed_dictionaries(
                {
                    "label": texts,
                    "qualifier": choices(vocabulary.Qualifier.values),
                    "unit": words,
                    "source": st.just("") | texts,
                    "value": st.integers(-(10**9), 10**9) | st.decimals(-1000, 1000, places=4).map(str),
                }
            ),
            max_size=2,
        ),
        "sources": st.lists(
            st.fixed_dictionaries(
                {
                    "url": urls,
                    "title": texts,
                    "publisher": st.just("") | texts,
                    "published": choices(["", "2020", "2020-01", "2020-01-31"]),
                    "looked_up": optional(st.dates().map(str)),
                    "primary": st.booleans(),
                    "supports": st.lists(choices(["started", "summary"]), unique=True),
                }
            ),
            max_size=2,
        ),
        "disagreements": st.lists(st.fixed_dictionaries({"about": words, "text": texts}), max_size=2),
    }
)
facts = st.fixed_dictionaries(
    {
        "title": texts,
        "severity": optional(choices(vocabulary.Severity.values)),
        "time_zone": zones,
        "started": optional(ats),
        "planned_change": st.booleans(),
        "detected_by": optional(choices(vocabulary.DetectedBy.values)),
        "mitigations": st.lists(choices(vocabulary.Mitigation.values), unique=True),
        "services": st.lists(words, max_size=2),
        "visibility": choices(vocabulary.Visibility.values),
        "stated_duration": optional(
            st.fixed_dictionaries({"seconds": st.integers(1, 10**9), "text": st.just("") | words})
        ),
    }
)
bodies = st.dictionaries(choices(["summary", "impact", "trigger", "lessons", "actions"]), texts, max_size=4)


@pytest.mark.slow
@settings(max_examples=20)
@given(facts=facts, rows=rows, bodies=bodies, later=st.none() | st.tuples(facts, rows, bodies))
def test_any_incident_comes_back_equal_from_its_export(cast, facts, rows, bodies, later):
    """`later` is the content of the draft, if the incident is reopened."""
    empty()
    save_template(actor=Viewer.system(), definition=template.shipped_definitions()[0])
    author = Viewer.system()
    sections = {
        planned.key: {"none_reason" if planned.key in KINDS else "body": bodies.get(planned.key, "Something.")}
        for planned in template.section_plans(PostmortemTemplate.objects.get())
    }
    body = {**facts, **rows, "sections": sections, "organization": "Chance", "team": None}
    try:
        made, _ = create_with_content(actor=author, body=body)
        lifecycle.publish(actor=author, incident_id=made.pk)
        if later is not None:
            lifecycle.reopen(actor=author, incident_id=made.pk)
            draft = {"sections": {key: {"body": text} for key, text in later[2].items() if key not in KINDS}}
            write_incident(actor=author, incident_id=made.pk, body={**later[0], **later[1], **draft})
    except Invalid:
        return
    (before,) = export_all(author)
    empty()
    assert brought_in(before) == []
    (after,) = export_all(author)
    assert comparable(after) == comparable(before)
