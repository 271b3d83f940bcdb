"""Forms of a word that are one word to search and to the rules of patterns."""

from __future__ import annotations

import pytest
import Stemmer

from kb.english import FORMS, base_form

stemmed = Stemmer.Stemmer("english").stemWord


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("initialise", "initialize"), ("initialised", "initialized"), ("serialisers", "serializers"),
        ("utilisation", "utilization"), ("reorganisations", "reorganizations"), ("customisable", "customizable"),
        ("prioritising", "prioritizing"), ("behaviour", "behavior"), ("datacentres", "datacenters"),
        ("analysing", "analyzing"), ("artefact", "artifact"), ("labelled", "labeled"), ("cancelling", "canceling"),
        ("dialled", "dialed"),
    ],
)  # fmt: skip
def test_british_and_american_spellings_are_one_word(british, american):
    assert stemmed(base_form(british)) == stemmed(base_form(american))


@pytest.mark.parametrize("word", ["ran", "overwrote", "frozen", "lost", "stuck", "rebuilt", "indices", "built"])
def test_an_irregular_form_is_its_base_form(word):
    assert base_form(word) == FORMS[word] != word


@pytest.mark.parametrize(
    ("one", "other"),
    [("precise", "precisely"), ("revise", "revision"), ("surprising", "surprisingly"), ("concise", "concisely"),
     ("supervised", "supervision")],
)  # fmt: skip
def test_words_that_end_in_ise_everywhere_keep_their_relatives(one, other):
    assert stemmed(base_form(one)) == stemmed(base_form(other))


def test_no_form_leads_to_another_form():
    assert not FORMS.keys() & set(FORMS.values())
    assert not [base for base in FORMS.values() if base_form(base) != base]
