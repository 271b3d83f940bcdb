"""Exports: documents that hold only what the viewer can see, and Markdown that renders as intended."""

from __future__ import annotations

import json
import re
import time
from io import StringIO

import pytest
import yaml
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from incidents import markdown_export, scopes
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.links import add_link
from incidents.actions.sections import add_row, change_section
from incidents.document import LIVE_FIELDS, read, with_all_parts
from incidents.export import json_document, markdown
from incidents.markdown import link, list_entry, plain, prose
from incidents.markdown_bounds import Allowance
from incidents.scopes import ANONYMOUS, Viewer
from tests.incidents.roundtrip import export_all

PARSER = MarkdownIt("commonmark")


def reading(incident, viewer):
    return read(with_all_parts(scopes.visible_incidents(viewer)).get(pk=incident.pk), viewer)


def headings(text):
    tokens = PARSER.parse(text)
    return [(t.tag, tokens[i + 1].content) for i, t in enumerate(tokens) if t.type == "heading_open" and t.level == 0]


def words(text):
    """The text that a reader sees of a line of Markdown."""
    (inline,) = [token for token in PARSER.parse(text) if token.type == "inline"]
    return "".join(child.content for child in inline.children)


# --- JSON ------------------------------------------------------------------------------------------
def test_a_document_is_plain_json(cast, published):
    document = json_document(reading(published(), cast.viewer("author")))
    assert json.loads(json.dumps(document)) == document


def test_anonymous_viewers_get_no_owner_no_tracker_and_no_link_to_incidents_they_cannot_see(cast, published):
    public, hidden = published(visibility="public"), published("A private matter", visibility="team")
    add_link(actor=cast.viewer("author"), incident_id=public.pk, kind="related", to=hidden.ref)
    seen = json.dumps(json_document(reading(public, ANONYMOUS)))
    for secret in ("author@acme.example", "tracker.acme.example", "A private matter", hidden.ref + '"'):
        assert secret not in seen
        assert secret in json.dumps(json_document(reading(public, cast.viewer("author"))))


def test_export_all_gives_each_viewer_what_they_see(cast, published, draft):
    public, internal = published("Public", visibility="public"), published("Internal")
    mine = draft("Draft")
    assert [d["ref"] for d in export_all(ANONYMOUS)] == [public.ref]
    assert [d["ref"] for d in export_all(cast.viewer("outsider"))] == [public.ref, internal.ref]
    assert [d["ref"] for d in export_all(cast.viewer("reader"))] == [public.ref, internal.ref, mine.ref]


@pytest.mark.parametrize("name", ["author", "reader", "anonymous"])
def test_everyone_exports_the_number_and_time_of_the_published_revision(cast, published, name):
    incident = published(visibility="public")
    shown = reading(incident, cast.viewer(name))
    document = json_document(shown)
    assert (document["revision"], document["published_at"] is None) == (1, False)
    assert "published, revision 1" in markdown(shown)


def test_an_action_is_exported_with_the_day_on_which_it_was_done_in_the_incidents_time_zone(cast, draft):
    incident, author = draft(time_zone="Europe/Madrid"), cast.viewer("author")
    action = {"kind": "prevent", "text": "Do it", "state": "done", "done_at": "2026-01-15"}
    add_row(actor=author, incident_id=incident.pk, kind="actions", values=action)
    assert "done, since 2026-01-15" in markdown(reading(incident, author))


def test_a_reader_exports_the_published_revision_of_a_reopened_postmortem(cast, published):
    incident = published(text="As published.")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Not yet.")
    assert "Not yet." not in json.dumps(list(export_all(cast.viewer("reader"))))


def test_viewers_of_a_reopened_draft_also_export_its_published_text_and_others_export_no_more_than_before(
    cast, published
):
    incident = published("As published", text="As published.", visibility="public")
    actor = cast.viewer("author")
    before = {name: json_document(reading(incident, cast.viewer(name))) for name in cast.NAMES}
    lifecycle.reopen(actor=actor, incident_id=incident.pk)
    change_incident(actor=actor, incident_id=incident.pk, facts={"title": "Not yet", "services": ["Not yet"]})
    for name in cast.NAMES:
        shown = reading(incident, cast.viewer(name))
        document = json_document(shown)
        if name in ("author", "lead", "admin"):
            alike = {"format", *LIVE_FIELDS}
            assert all(document[key] == before["reader"][key] for key in alike)
            wanted = {key: value for key, value in before["reader"].items() if key not in {"links", *alike}}
            assert (document["title"], document["published"]) == ("Not yet", wanted)
        else:
            assert document == before[name]
        assert "published" not in shown.document
        assert ("As published\n" in markdown(shown)) is not shown.is_working_copy


def test_a_reviewer_exports_both_texts(cast, published):
    incident = published("As published", visibility="team")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    assert json_document(reading(incident, cast.viewer("reviewer")))["published"]["title"] == "As published"


def test_only_a_reopened_postmortem_is_exported_with_its_published_text(cast, draft, published):
    draft("Draft"), published("Published"), (archived := published("Archived"))
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=archived.pk)
    reopened = published("Reopened")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=reopened.pk)
    found = {document["title"]: "published" in document for document in export_all(Viewer.system())}
    assert found == {"Draft": False, "Published": False, "Archived": False, "Reopened": True}


# --- Markdown --------------------------------------------------------------------------------------
def test_a_postmortem_reads_in_the_templates_order(cast, published):
    incident = published()
    text = markdown(reading(incident, cast.viewer("author")))
    assert headings(text.split("---\n", 2)[2]) == [
        ("h1", "Checkout returned errors"), ("h2", "Summary"), ("h2", "Impact"), ("h2", "Timeline"),
        ("h2", "Causes and contributing factors"), ("h2", "Lessons"), ("h2", "Action items"),
    ]  # fmt: skip
    assert "- **Trigger** (A change we made): A resize flushed every key\n" in text
    assert "- **2026-03-03 14:03 +00:00** (impact) Resize begins\n" in text
    assert "- **Prevent**, open, author@acme.example, [tracker](<https://tracker.acme.example/1>): Add backoff" in text


def test_the_front_matter_is_yaml_with_the_facts(cast, published):
    incident = published(
        'Quotes: "all" of them # and a hash', started="2026-03-03T14:03Z", resolved="2026-03-03T14:30Z", severity="sev2"
    )
    text = markdown(reading(incident, cast.viewer("author")))
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["ref"] == incident.ref
    assert header["title"] == 'Quotes: "all" of them # and a hash'
    assert (header["organization"], header["severity"], header["duration_seconds"]) == ("Acme", "sev2", 1620)


def test_everything_that_is_there_is_shown(cast, published):
    incident, other = published(), published("An older one")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    actor = cast.viewer("author")
    change_incident(actor=actor, incident_id=incident.pk, facts={
        "stated_duration": {"seconds": 5400, "text": "an hour and a half"}, "mitigations": ["rollback", "fix_forward"],
        "detected_by": "customer", "services": ["Cart", "Pay"], "planned_change": True, "started": "2026-03",
    })  # fmt: skip
    row = add_row(actor=actor, incident_id=incident.pk, kind="impact_figures",
                  values={"label": "Lost orders", "qualifier": "at_least", "value": 1234.5, "unit": "orders",
                  "source": "a_b"})  # fmt: skip
    add_row(actor=actor, incident_id=incident.pk, kind="sources",
            values={"url": "https://x.example/a_(b)", "title": "A [page]", "supports": ["started", str(row.uuid)],
            "primary": True})  # fmt: skip
    add_row(
        actor=actor,
        incident_id=incident.pk,
        kind="disagreements",
        values={"about": "started", "text": "One says April."},
    )
    add_link(actor=actor, incident_id=incident.pk, kind="recurrence_of", to=other.ref, note="the same key")
    text = markdown(reading(incident, actor))
    for line in (
        "- **Duration:** an hour and a half, as stated by a source",
        "- **Mitigated by:** rollback, fix forward",
        "- **Services:** Cart, Pay",
        "- **Started:** 2026-03",
        "- Lost orders: at least 1,234.5 orders (from a\\_b)",
        "1. [A \\[page\\]](<https://x.example/a_(b)>), primary source. Supports started, impact figures 1.",
        "- **started:** One says April.",
        f"- Recurrence of: {other.ref} An older one (Acme). the same key",
    ):
        assert line in text.splitlines(), line
    assert f"- Recurred as: {incident.ref}" in markdown(reading(other, actor))


def test_a_section_without_entries_gives_its_reason(cast, draft):
    incident = draft()
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="actions", none_reason="Nothing *to* do")
    text = markdown(reading(incident, cast.viewer("author")))
    assert "## Action items\n\nNone: Nothing \\*to\\* do\n" in text


def test_headings_inside_prose_are_below_the_level_of_their_section(cast, draft):
    incident = draft()
    body = "# One\n\nTwo\n===\n\nThree\n---\n\n```\n# no heading\n```\n\n###### Six"
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=body)
    text = markdown(reading(incident, cast.viewer("author")))
    inside = [heading for heading in headings(text.split("---\n", 2)[2]) if heading[0] not in ("h1", "h2")]
    assert inside == [("h3", "One"), ("h3", "Two"), ("h4", "Three"), ("h6", "Six")]
    assert "# no heading" in text


@pytest.mark.parametrize(
    "left_open",
    [
        "```\nlog",
        "~~~~ sh\nlog",
        "<!-- note",
        "<script>\nx",
        "<pre>",
        "<?php",
        "<![CDATA[",
        "<!DOCTYPE",
        "- a\n  ```\n  b",
    ],
)
def test_an_unclosed_block_in_prose_does_not_swallow_what_follows(cast, draft, left_open):
    incident = draft()
    for key in ("summary", "impact"):
        change_section(actor=cast.viewer("author"), incident_id=incident.pk, key=key, body=left_open)
    text = markdown(reading(incident, cast.viewer("author")))
    assert [title for _, title in headings(text.split("---\n", 2)[2])] == [
        "Checkout returned errors",
        "Summary",
        "Impact",
    ]
    assert left_open.split("\n")[0] in text


prose_texts = st.text(st.sampled_from("ab #=-*>`~<![]()\n\t1.&_"), max_size=60)


@given(prose_texts)
def test_any_prose_leaves_the_next_heading_intact_and_has_no_larger_heading(body):
    text = f"## Before\n\n{prose(body, below=2)}\n\n## After\n"
    found = headings(text)
    assert found[0] == ("h2", "Before")
    assert found[-1] == ("h2", "After")
    assert all(tag in ("h3", "h4", "h5", "h6") for tag, _ in found[1:-1])


@given(prose_texts)
def test_prose_without_headings_and_unclosed_blocks_is_left_unchanged(body):
    kinds = {token.type for token in PARSER.parse(body)}
    if kinds <= {"paragraph_open", "inline", "paragraph_close"}:
        assert prose(body, below=2) == body.strip("\n")


def test_closing_the_unclosed_blocks_of_a_long_text_is_fast():
    text = "![" * 32_000 + "\n\n<textarea>"
    began = time.process_time()
    assert prose(text, below=2).removeprefix(text).startswith("\n</")
    assert time.process_time() - began < 0.5


def test_a_block_is_closed_without_reading_the_whole_text_again():
    text = "Some words.\n\n" * 100
    spent = []
    for ending in ("", "<textarea>", "~~~~"):
        allowance = Allowance()
        prose(text + ending, below=2, allowance=allowance)
        spent.append(Allowance().lines - allowance.lines)
    assert max(spent) - min(spent) < 10


def test_what_takes_too_much_becomes_a_code_block_at_the_end():
    entries = "* a\n" * 100
    text = prose(f"# One\n\n{entries}\n# Two\n````\n", below=2, allowance=Allowance(100))
    assert text.startswith("### One\n\n* a\n")
    (fence,) = [token for token in PARSER.parse(text) if token.type == "fence"]
    assert fence.content.endswith("* a\n\n# Two\n````\n")
    assert text.count("* a\n") == 100
    assert headings(f"{text}\n\n## After\n") == [("h3", "One"), ("h2", "After")]


@given(prose_texts, st.integers(0, 60))
def test_any_prose_leaves_the_next_heading_intact_wherever_reading_it_stops(body, lines):
    text = f"## Before\n\n{prose(body, below=2, allowance=Allowance(lines))}\n\n## After\n"
    found = headings(text)
    assert (found[0], found[-1]) == (("h2", "Before"), ("h2", "After"))
    assert all(tag in ("h3", "h4", "h5", "h6") for tag, _ in found[1:-1])
    assert not set(re.findall("[ab1]", body)).difference(text)


def test_all_texts_of_a_document_share_one_allowance(cast, draft, monkeypatch):
    incident = draft()
    actor = {"actor": cast.viewer("author"), "incident_id": incident.pk}
    for key in ("summary", "impact"):
        change_section(**actor, key=key, body="It broke.")
    add_row(**actor, kind="lessons", values={"text": "Resize slowly"})
    add_row(**actor, kind="causes", values={"kind": "contributing", "text": "No backoff"})
    seen = []
    for name in ("prose", "list_entry"):
        monkeypatch.setattr(markdown_export, name, lambda *args, allowance, **options: seen.append(allowance) or "")
    markdown(reading(incident, cast.viewer("author")))
    assert len(seen) == 4
    assert all(allowance is seen[0] for allowance in seen)


@given(st.lists(prose_texts, min_size=2, max_size=4))
def test_entries_of_a_list_stay_entries_of_one_list(bodies):
    text = "\n".join(list_entry(f"**Lead {n}**", body, below=3) for n, body in enumerate(bodies))
    items = [token for token in PARSER.parse(text) if token.type == "list_item_open" and token.level == 1]
    leads = [
        token.content for token in PARSER.parse(text) if token.type == "inline" and token.content.startswith("**Lead")
    ]
    assert len(leads) == len(bodies)
    assert len(items) >= 1


lines = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs", "Zs")), min_size=1)


@given(lines)
def test_a_plain_line_is_read_as_it_was_written(text):
    assert words(f"**x** {plain(text)}") == f"x {text}"


@given(
    lines,
    st.sampled_from(["https://x.example/", "https://x.example/a(b", "https://x.example/<b>", "https://x.example/a\\b"]),
)
def test_a_link_has_its_text_and_address_whatever_they_hold(text, url):
    (inline,) = [token for token in PARSER.parse(link(text, url)) if token.type == "inline"]
    assert inline.children[0].type == "link_open"
    assert inline.children[0].attrGet("href").startswith("https://x.example/")
    assert "".join(child.content for child in inline.children) == text


# --- The command -----------------------------------------------------------------------------------
def test_the_command_writes_a_file_per_incident(cast, published, draft, tmp_path):
    incidents = [published(), draft("A draft")]
    out = StringIO()
    call_command("export_incidents", tmp_path / "new" / "folder", stdout=out)
    folder = tmp_path / "new" / "folder"
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{i.ref}.json" for i in incidents)
    assert json.loads((folder / f"{incidents[1].ref}.json").read_text())["title"] == "A draft"
    assert out.getvalue() == f"2 incidents exported to {folder}.\n"
    call_command("export_incidents", folder, format="markdown", stdout=out)
    assert (folder / f"{incidents[0].ref}.md").read_text().startswith("---\nref: ")


def test_a_folder_that_cannot_be_written_to_is_bad_usage(cast, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError) as stopped:
        call_command("export_incidents", tmp_path / "file")
    assert stopped.value.returncode == 2
