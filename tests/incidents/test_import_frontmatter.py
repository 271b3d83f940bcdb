"""Markdown with front matter: what is read from it, what is derived, and what is refused with which message."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.errors import Invalid
from incidents.importing.frontmatter import read

UUID = "0a6f9c1e-7d51-4c52-9a3e-0f6f6f3d2b11"
FULL = f"""---
uuid: {UUID}
url: https://status.kettle.example/incidents/7
archive_url: https://web.archive.org/web/2020/https://status.kettle.example/incidents/7
title: "Kettle: tea was served cold"
start_time: 2019-11-05T08:15:00Z
end_time: 2019-11-05T09:45:30Z
categories:
- cloud
- config-change
keywords: [tea, thermostat]
company: Kettle
product: Boiler, Tap (hot, cold)
source_published_at: 2019-11-08T10:00:00Z
summary: A thermostat was set to the wrong scale.
---

A new thermostat counted in another scale.

Nobody noticed until the tea was served.
"""


def made(header, body="It broke.\n"):
    return read("a.md", f"---\nuuid: {UUID}\n{header}\n---\n\n{body}")


def refused(text):
    with pytest.raises(Invalid) as error:
        read("a.md", text)
    return error.value.fields


def test_a_whole_file_is_read():
    found = read("kettle.md", FULL)
    assert found.identity == f"postmortems.app:{UUID}"
    assert found.facts == {
        "title": "Kettle: tea was served cold",
        "organization": "Kettle",
        "services": ["Boiler", "Tap (hot, cold)"],
        "time_zone": "UTC",
        "started": {"at": "2019-11-05T08:15:00Z", "precision": "minute"},
        "resolved": {"at": "2019-11-05T09:45:30Z", "precision": "second"},
    }
    assert found.sections["summary"].body == "A thermostat was set to the wrong scale."
    assert found.sections["account"].body == (
        "A new thermostat counted in another scale.\n\nNobody noticed until the tea was served.\n\n"
        "Categories at the source: cloud, config-change.\n\nKeywords at the source: tea, thermostat."
    )
    (source,) = found.rows["sources"]
    assert source["url"] == "https://status.kettle.example/incidents/7"
    assert source["archive_url"].startswith("https://web.archive.org/")
    assert (source["publisher"], source["published"]) == ("Kettle", "2019-11-08")
    assert found.pages == ("status.kettle.example/incidents/7",)


def test_everything_except_an_identity_can_be_missing():
    found = read("a.md", f"---\nuuid: {UUID}\n---\n")
    assert found.facts["title"] == "Incident at Unknown"
    assert found.facts["organization"] == "Unknown"
    assert found.facts["started"] is found.facts["resolved"] is None
    assert found.sections["summary"].body == found.sections["impact"].body == "The source does not say."
    assert found.sections["lessons"].none_reason == "The source does not say."
    assert found.rows == {}


def test_sections_that_are_not_separate_from_the_account_say_so():
    found = made("company: Kettle")
    assert found.sections["impact"].body == "The source does not separate this from its account."


def test_without_a_uuid_the_url_is_the_identity_however_it_is_written():
    one = read("a.md", "---\nurl: https://www.kettle.example/post/\n---\nx")
    two = read("b.md", "---\nurl: http://kettle.example/post\narchive_url: https://archive.example/1\n---\nx")
    other = read("c.md", "---\nurl: https://kettle.example/post?id=2\n---\nx")
    assert one.by_page
    assert one.identity == two.identity != other.identity


def test_an_archived_copy_takes_the_place_of_a_missing_url():
    found = read("a.md", "---\narchive_url: https://web.archive.org/web/2001id_/http://kettle.example/post\n---\nx")
    assert found.pages == ("kettle.example/post",)
    assert found.rows["sources"][0]["url"].startswith("https://web.archive.org/")


@pytest.mark.parametrize(
    ("written", "at", "precision"),
    [
        ("2019-11-05T08:15:00Z", "2019-11-05T08:15:00Z", "minute"),
        ("2019-11-05T08:15:20Z", "2019-11-05T08:15:20Z", "second"),
        ("2019-11-05 08:15:20.5 +05", "2019-11-05T08:15:20+05:00", "second"),
        ("2019-11-05T08:15:00", "2019-11-05T08:15:00", "minute"),
        ("'2019-11-05T08:15'", "2019-11-05T08:15", "minute"),
        ("!!timestamp 2019-11-05T08:15:00Z", "2019-11-05T08:15:00+00:00", "minute"),
        ("2019-11-05T00:00:00Z", "2019-11-05", None),
        ("2019-11-05T23:59:59Z", "2019-11-05", None),
        ("2019-11-05", "2019-11-05", None),
        ("!!timestamp 2019-11-05", "2019-11-05", None),
        ("2019-11", "2019-11", None),
        ("2019", "2019", None),
    ],
)
def test_times_are_as_precise_as_they_are_written(written, at, precision):
    started = made(f"start_time: {written}").facts["started"]
    assert (started["at"], started.get("precision")) == (at, precision)


@pytest.mark.parametrize("written", ["''", "", "null", "~"])
def test_an_empty_time_is_unknown(written):
    assert made(f"start_time: {written}").facts["started"] is None


@pytest.mark.parametrize(
    ("product", "services"),
    [
        ("Boiler, Tap", ["Boiler", "Tap"]),
        ("Boiler,Tap,Kettle", ["Boiler", "Tap", "Kettle"]),
        ("Boiler ,Tap,, Boiler,", ["Boiler", "Tap"]),
        ("1,000 Words,Boiler 2,Tap", ["1,000 Words", "Boiler 2", "Tap"]),
        ("Boiler 2, 300 Taps", ["Boiler 2", "300 Taps"]),
        ("Tap 1.9,2.0", ["Tap 1.9", "2.0"]),
        ("Tap (hot,cold),Boiler", ["Tap (hot,cold)", "Boiler"]),
        ("Tap (never closed,Boiler", ["Tap (never closed", "Boiler"]),
        ("['A,B', C]", ["A,B", "C"]),
    ],
)
def test_commas_separate_services_except_within_numbers_and_parentheses(product, services):
    assert made(f"product: {product}").facts["services"] == services


def test_words_that_yaml_reads_as_true_and_false_stay_text():
    found = made("title: Yes\ncompany: On\nproduct: [No, Off]\nsummary: no\ncategories: yes")
    assert (found.facts["title"], found.facts["organization"]) == ("Yes", "On")
    assert found.facts["services"] == ["No", "Off"]
    assert found.sections["summary"].body == "no"
    assert found.sections["account"].body == "It broke.\n\nCategories at the source: yes."


def test_a_title_is_made_from_the_first_sentence_when_there_is_none():
    found = made("company: Kettle", "The [boiler](https://x.example) of\nthe `office` broke. It was replaced.")
    assert found.facts["title"] == "The boiler of the office broke"
    long = made("", "word " * 100).facts["title"]
    assert len(long) <= 121
    assert long.endswith("word…")


@pytest.mark.parametrize(
    ("body", "title", "summary"),
    [
        ("# Database outage of 3 May\n\nThe *primary* failed. Then more.", None, "The *primary* failed. Then more."),
        ("## The `db-1` [outage](https://x.example)\nIt failed.", "The db-1 outage", "It failed."),
        ("Database outage of 3 May\n===\n\nIt failed.\n\nMore.", None, "It failed."),
        ("# Database outage of 3 May\n\n- one\n- two", None, "- one\n- two"),
        ("# Database outage of 3 May", None, "The source does not say."),
        ("## Summary\n\nIt failed. More.\n\n## Impact\n\nAll.", "It failed", "It failed. More."),
        ("**At 14:03 UTC** the _primary_ failed\nover. More.", "At 14:03 UTC the primary failed over", None),
        (
            "Calls to <b> gave 1 \\* 2 &amp; 3 ![a *chart*](https://x.example).",
            "Calls to <b> gave 1 * 2 & 3 a chart",
            None,
        ),
        ("# &#xe000;\n\n&#xe001;", "Incident at Kettle", "&#xe001;"),
        ("- one. Two\n- three", "one", "- one. Two\n- three"),
        ("> quoted\n\n- listed\n\nIt *failed*.\n\nMore.", "It failed", "It *failed*."),
        ("| a | b |\n| - | - |\n| c | d |\n\nIt failed.", "It failed", "It failed."),
        ("```\nan error\n\nand another\n```\n\nIt failed.\n\nMore.", "It failed", "It failed."),
        ("```\nan error\n\nand another", "Incident at Kettle", "```\nan error\n\nand another"),
        ("    an error\n\n    and another\n\n# Then", "Incident at Kettle", "    an error\n\n    and another"),
        ("It failed.\n  \t\nMore of it.", "It failed", "It failed."),
        ("<!-- from the wiki -->\n\n***\n\nIt failed.", "It failed", "It failed."),
    ],
)
def test_title_and_summary_are_read_as_markdown_and_the_account_stays_whole(body, title, summary):
    found = made("company: Kettle", f"\n  \n{body}\n")
    assert found.facts["title"] == (title or "Database outage of 3 May")
    assert found.sections["summary"].body == (summary or body)
    assert found.sections["account"].body == ("" if summary in (None, body) else body)


def test_a_heading_of_the_account_is_preferred_to_the_summary_for_the_title():
    found = made("summary: Tea was *cold*. Very.", "# The cold tea\n\nA thermostat counted in another scale.")
    assert found.facts["title"] == "The cold tea"
    assert found.sections["summary"].body == "Tea was *cold*. Very."
    assert made("summary: Tea was *cold*. Very.").facts["title"] == "Tea was cold"


def test_a_body_of_one_paragraph_is_the_summary_and_is_not_repeated():
    found = made("", "It broke at noon.")
    assert found.sections["summary"].body == "It broke at noon."
    assert found.sections["account"].body == ""


@pytest.mark.parametrize(
    "text",
    [FULL.replace("\n", "\r\n"), FULL.replace("\n---\n\nA new", "\n...\nA new"), FULL.replace("---", "---  ", 1)],
)
def test_line_endings_and_other_ways_to_close_the_front_matter_make_no_difference(text):
    assert read("a.md", text).digest == read("a.md", FULL).digest


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("", "front matter", "There is none"),
        ("# A title\n\nText.", "front matter", "There is none"),
        ("---\nuuid: 1\n", "front matter", "There is none"),
        ("text\n---\nuuid: 1\n---\n", "front matter", "There is none"),
        ("---\n---\n", "uuid", "neither a uuid nor a url"),
        ("---\ntitle: Only a title\n---\n", "uuid", "neither a uuid nor a url"),
        ("---\n- a\n- b\n---\n", "front matter", "mapping"),
        ("---\njust text\n---\n", "front matter", "mapping"),
        ("---\nuuid: [\n---\n", "front matter", "not YAML"),
        ("---\ntitle: a: b\n---\n", "front matter", "line 2"),
        ("---\na: &a [1]\nb: *a\n---\n", "front matter", "aliases"),
        ("---\na: !!python/object:os.system x\n---\n", "front matter", "not YAML"),
        ("---\na: " + "[" * 5000 + "]" * 5000 + "\n---\n", "front matter", "too deeply"),
        ("---\na: '" + "x" * 70_000 + "'\n---\n", "front matter", "longer than"),
        ("---\nuuid: 12345\n---\n", "uuid", "not a UUID"),
        ("---\nuuid: {a: b}\n---\n", "uuid", "This must be text"),
        (f"---\nuuid: {UUID}\nurl: javascript:alert(1)\n---\n", "url", "full address"),
        (f"---\nuuid: {UUID}\ntitle: [a]\n---\n", "title", "This must be text"),
        (f"---\nuuid: {UUID}\ncompany: !!bool yes\n---\n", "company", "This must be text"),
        (f"---\nuuid: {UUID}\nkeywords: [a, {{b: c}}]\n---\n", "keywords.1", "This must be text"),
        (f"---\nuuid: {UUID}\nsummary: [no]\n---\n", "summary", "This must be text"),
        (f"---\nuuid: {UUID}\nstart_time: yesterday\n---\n", "start_time", "Enter a time"),
        (f"---\nuuid: {UUID}\nstart_time: 2019-02-30\n---\n", "start_time", "not a valid date or time"),
        (f"---\nuuid: {UUID}\nend_time: [2019]\n---\n", "end_time", "Enter a time"),
        (f"---\nuuid: {UUID}\nend_time: true\n---\n", "end_time", "Enter a time"),
        (f"---\nuuid: {UUID}\nstart_time: 2019-02-02\nend_time: 2019-02-01\n---\n", "end_time", "before the start"),
        (f'---\nuuid: {UUID}\ntitle: "a\\0b"\n---\n', "title", "NUL"),
        # Refused for its size, before minutes of parsing it as Markdown.
        (f"---\nuuid: {UUID}\n---\n" + "- a\n" * 70_000, "sections.account.body", "at most 256 KiB"),
    ],
)
def test_invalid_values_are_refused_with_their_place(text, field, says):
    found = refused(text)
    assert list(found) == [field]
    assert says in found[field][0]


@given(st.text(max_size=200))
def test_any_text_is_either_read_or_refused_and_never_raises_anything_else(text):
    for whole in (
        text,
        f"---\n{text}\n---\n{text}",
        f"---\nuuid: {UUID}\nstart_time: {text}\nsummary: |\n  {text}\n---\n{text}",
    ):
        with suppress(Invalid):
            assert read("a.md", whole).identity.startswith("postmortems.app:")
