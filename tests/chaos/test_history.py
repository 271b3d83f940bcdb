"""The history decides what a reader must not find. If it let everything pass, the campaign would prove nothing."""

from __future__ import annotations

import time

import pytest

from chaos.history import READERS, Audience, History

WORD = "q7example"


@pytest.fixture
def history() -> History:
    history = History()
    with history.step({WORD: Audience.EVERYONE}):
        pass
    return history


def forbidden(history: History, asked: float, answered: float) -> list[str]:
    return [reader for reader in READERS if history.forbidden(WORD, reader, asked, answered)]


def narrow(history: History, audience: Audience) -> tuple[float, float]:
    """Commit a step; returns the times just before and just after it."""
    before = time.monotonic()
    with history.step({WORD: audience}):
        pass
    return before, time.monotonic()


def test_a_public_word_is_forbidden_to_no_reader(history):
    now = time.monotonic()
    assert forbidden(history, now, now + 1) == []


@pytest.mark.parametrize(
    ("audience", "readers"),
    [
        (Audience.SIGNED_IN, ["anonymous"]),
        (Audience.TEAM, ["anonymous", "outsider"]),
        (Audience.NOBODY, ["anonymous", "outsider", "author"]),
    ],
)
def test_a_search_that_began_after_a_narrowing_must_reflect_it(history, audience, readers):
    _, after = narrow(history, audience)
    assert forbidden(history, after, after + 1) == readers


def test_a_search_that_began_before_a_narrowing_may_show_the_earlier_state(history):
    before, after = narrow(history, Audience.NOBODY)
    assert forbidden(history, before, after) == []


def test_a_search_that_overlaps_a_widening_may_show_the_later_state(history):
    narrow(history, Audience.TEAM)
    asked = time.monotonic()
    narrow(history, Audience.EVERYONE)
    assert forbidden(history, asked, time.monotonic()) == []


def test_a_widening_after_the_response_excuses_nothing(history):
    narrow(history, Audience.TEAM)
    asked = time.monotonic()
    answered = time.monotonic()
    narrow(history, Audience.EVERYONE)
    assert forbidden(history, asked, answered) == ["anonymous", "outsider"]


def test_an_uncertain_commit_is_judged_only_once_it_is_settled(history):
    with pytest.raises(ConnectionError), history.step({WORD: Audience.NOBODY}):
        raise ConnectionError
    now = time.monotonic()
    assert forbidden(history, now, now + 1) == []
    history.settle({WORD: Audience.NOBODY})
    now = time.monotonic()
    assert forbidden(history, now, now + 1) == list(READERS)


def test_a_word_that_was_never_committed_is_not_judged(history):
    now = time.monotonic()
    assert not history.forbidden("q7other", "anonymous", now, now + 1)
