"""Text as it may be stored: above all, that what nobody can see counts as nothing."""

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

UNSEEN = (
    " \t\u00a0\u3000\u2028"
    "\u200b\u200c\u200d\u200e\u202e\u2060\ufeff\u00ad\u061c\u180e\u0085"
    "\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0f\U000e0100\U000e0041"
    "\u2065\ufff0\U00016fe4\U0001d159\U000e0000\U000e0080"
)
unseen = st.text(alphabet=UNSEEN, max_size=8)


def refused(text, **how):
    with pytest.raises(Invalid) as error:
        clean("title", text, required=True, **how)
    return error.value.fields


@pytest.mark.parametrize("character", UNSEEN, ids=lambda character: f"U+{ord(character):04X}")
def test_a_character_that_nobody_sees_is_no_name(character):
    assert refused(character, single_line=True) == {"title": ["This field is required."]}


@pytest.mark.parametrize("between", ["\ue000", "\x01"])
def test_what_is_taken_out_does_not_keep_letters_apart_that_belong_together(between):
    assert clean("title", f"cafe{between}\u0301") == "caf\u00e9"


@pytest.mark.parametrize(
    "address",
    ["https://deploy:s3cret@grafana.example/d/1", "https://deploy@x.example", "http://a b/c", "https://", "https:///x"],
)
def test_an_address_names_a_site_and_lets_nobody_in(address):
    with pytest.raises(Invalid):
        clean_url("url", address)


@pytest.mark.parametrize(
    "address", ["https://x.example", "HTTP://x.example:80/@me?a=b@c#d@e", "https://x.example/a b", "https://[::1]/"]
)
def test_other_addresses_are_kept_to_the_letter(address):
    assert clean_url("url", address) == address


@given(unseen)
def test_text_of_which_nothing_is_seen_is_empty(text):
    assert is_blank(text)
    assert clean("body", text) == clean("title", text, single_line=True) == ""
    assert refused(text) == refused(text, single_line=True)


@given(unseen, st.characters(categories=["L", "N", "P", "Sm", "Sc", "Sk", "So"], max_codepoint=0x2FF), unseen)
def test_a_character_that_is_seen_is_a_name_whatever_stands_around_it(before, character, after):
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
def test_text_that_needs_characters_that_nobody_sees_keeps_them(text):
    assert clean("title", text, required=True, single_line=True) == text


@pytest.mark.parametrize("text", ["\u200b", "\u2060 \n\ufeff", "\u3164"])
def test_required_parts_that_only_look_written_are_missing(cast, draft, text):
    incident = draft()
    fill(cast, incident)
    incident.lessons.all().delete()
    # As it may have been stored before such text was refused.
    incident.sections.filter(key="summary").update(body=text)
    incident.sections.filter(key="lessons").update(none_reason=text)
    with pytest.raises(Incomplete) as refusal:
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    assert set(refusal.value.missing) == {"summary", "lessons"}


def test_asking_for_changes_takes_words_that_can_be_read(cast, draft):
    incident = draft()
    fill(cast, incident)
    lifecycle.submit(actor=cast.viewer("author"), incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    with pytest.raises(Invalid) as refusal:
        lifecycle.review(actor=cast.viewer("reviewer"), incident_id=incident.pk, approve=False, comment="\u200b")
    assert refusal.value.fields == {"comment": ["Say what should change."]}


def test_a_file_with_an_invisible_title_gets_the_one_it_would_get_without():
    header = "uuid: 0a6f9c1e-7d51-4c52-9a3e-0f6f6f3d2b11\ncompany: Kettle\nproduct: [Boiler, '\u200b']\ntitle: '\u200b'"
    read = frontmatter.read("a.md", f"---\n{header}\n---\n\n\u200b\n")
    assert (read.facts["title"], read.facts["services"]) == ("Incident at Kettle: Boiler", ["Boiler"])


def test_a_template_and_its_sections_have_names_that_can_be_read():
    definition = copy.deepcopy(template.files()[0])
    definition["name"] = definition["sections"][1]["title"] = "\u200b\u2060"
    with pytest.raises(Invalid) as refusal:
        template.check(definition)
    assert set(refusal.value.fields) == {"definition.name", "definition.sections.1.title"}
