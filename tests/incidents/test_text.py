"""Text as it is stored: above all, text without visible characters counts as empty."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents import template
from incidents.actions import lifecycle
from incidents.errors import Incomplete, Invalid
from incidents.importing import frontmatter
from incidents.text import clean, clean_url, is_blank
from tests.conftest import fill

INVISIBLE = (
    " \t\u00a0\u3000\u2028"
    "\u200b\u200c\u200d\u200e\u202e\u2060\ufeff\u00ad\u061c\u180e\u0085"
    "\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0f\U000e0100\U000e0041"
    "\u2065\ufff0\U00016fe4\U0001d159\U000e0000\U000e0080"
)
invisible = st.text(alphabet=INVISIBLE, max_size=8)


def refused(text, **how):
    with pytest.raises(Invalid) as error:
        clean("title", text, required=True, **how)
    return error.value.fields


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"U+{ord(character):04X}")
def test_an_invisible_character_is_not_a_name(character):
    assert refused(character, single_line=True) == {"title": ["This field is required."]}


@pytest.mark.parametrize("between", ["\ue000", "\x01"])
def test_stripped_characters_do_not_keep_combining_letters_apart(between):
    assert clean("title", f"cafe{between}\u0301") == "caf\u00e9"


@pytest.mark.parametrize(
    "address",
    ["https://deploy:s3cret@grafana.example/d/1", "https://deploy@x.example", "http://a b/c", "https://", "https:///x"],
)
def test_an_address_needs_a_host_and_no_credentials(address):
    with pytest.raises(Invalid):
        clean_url("url", address)


@pytest.mark.parametrize(
    "address", ["https://x.example", "HTTP://x.example:80/@me?a=b@c#d@e", "https://x.example/a b", "https://[::1]/"]
)
def test_other_addresses_are_kept_exactly(address):
    assert clean_url("url", address) == address


@given(invisible)
def test_text_without_visible_characters_is_empty(text):
    assert is_blank(text)
    assert clean("body", text) == clean("title", text, single_line=True) == ""
    assert refused(text) == refused(text, single_line=True)


@given(invisible, st.characters(categories=["L", "N", "P", "Sm", "Sc", "Sk", "So"], max_codepoint=0x2FF), invisible)
def test_a_visible_character_is_a_name_whatever_surrounds_it(before, character, after):
    assert character in clean("title", before + character + after, required=True, single_line=True)


@pytest.mark.parametrize(
    "text",
    [
        "👩‍🚒",
        "❤️",
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "می‌خواهم",
        "한국",
        "क्‍ष",
        "葛\U000e0100",
        "co\u00adoperation",
        "\u0301",
        "⠓⠀⠊",
    ],
)
def test_text_keeps_the_invisible_characters_that_it_needs(text):
    assert clean("title", text, required=True, single_line=True) == text


@pytest.mark.parametrize("text", ["\u200b", "\u2060 \n\ufeff", "\u3164"])
def test_required_parts_with_only_invisible_text_are_missing(cast, draft, text):
    incident = draft()
    fill(cast, incident)
    incident.lessons.all().delete()
    # Straight to the database, because no action would store it.
    incident.sections.filter(key="summary").update(body=text)
    incident.sections.filter(key="lessons").update(none_reason=text)
    with pytest.raises(Incomplete) as refusal:
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert set(refusal.value.missing) == {"summary", "lessons"}


def test_requesting_changes_needs_a_visible_comment(cast, draft):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    with pytest.raises(Invalid) as refusal:
        lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=False, comment="\u200b")
    assert refusal.value.fields == {"comment": ["Say what should change."]}


def test_a_file_with_an_invisible_title_gets_the_default_title():
    header = "uuid: 0a6f9c1e-7d51-4c52-9a3e-0f6f6f3d2b11\ncompany: Kettle\nproduct: [Boiler, '\u200b']\ntitle: '\u200b'"
    read = frontmatter.read("a.md", f"---\n{header}\n---\n\n\u200b\n")
    assert (read.facts["title"], read.facts["services"]) == ("Incident at Kettle: Boiler", ["Boiler"])


def test_a_template_and_its_sections_need_visible_names():
    definition = copy.deepcopy(template.shipped_definitions()[0])
    definition["name"] = definition["sections"][1]["title"] = "\u200b\u2060"
    with pytest.raises(Invalid) as refusal:
        template.check(definition)
    assert set(refusal.value.fields) == {"definition.name", "definition.sections.1.title"}
