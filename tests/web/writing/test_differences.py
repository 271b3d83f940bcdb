"""The differences between two texts: both can be rebuilt from the pieces, and comparing takes bounded time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from kb.web.writing.differences import Effort, Mark, Piece, between, side


def replaced(before, after):
    return [Piece(Mark.REMOVED, before), Piece(Mark.ADDED, after)]


TEXTS = st.text(alphabet="ab c\n.é", max_size=120)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_rebuilt_from_the_pieces(before, after):
    pieces = between(before, after, Effort())
    assert "".join(piece.text for piece in side(pieces, Mark.REMOVED)) == before
    assert "".join(piece.text for piece in side(pieces, Mark.ADDED)) == after


@given(TEXTS)
def test_a_text_has_no_differences_to_itself(text):
    assert between(text, text, Effort()) == ([Piece(Mark.SAME, text)] if text else [])


def test_only_the_words_that_differ_are_marked():
    pieces = between(
        "About 18% of checkouts failed.\nNobody knew.", "Nearly 20% of checkouts failed.\nNobody knew.", Effort()
    )
    assert [piece.text for piece in pieces if piece.mark is Mark.REMOVED] == ["About 18"]
    assert [piece.text for piece in pieces if piece.mark is Mark.ADDED] == ["Nearly 20"]


# Repeated punctuation is hard to compare: each character equals every second one of the other text.
HARD = (",." * 315 + ",", "." * 630)


def test_what_is_hard_to_compare_is_shown_replaced_as_a_whole_and_the_rest_by_word():
    before, after = (f"About {percent}% failed.\n\n{text}\n" for percent, text in zip((18, 20), HARD, strict=True))
    assert [(piece.mark, piece.text) for piece in between(before, after, Effort())] == [
        (Mark.SAME, "About "),
        (Mark.REMOVED, "18"),
        (Mark.ADDED, "20"),
        (Mark.SAME, "% failed.\n\n"),
        (Mark.REMOVED, HARD[0]),
        (Mark.ADDED, HARD[1]),
        (Mark.SAME, "\n"),
    ]


def test_all_texts_of_a_page_share_one_effort():
    effort = Effort(500)
    first = between("18% of carts", "20 % of all carts", effort)
    assert first != replaced("18% of carts", "20 % of all carts")
    for _ in range(20):
        between("18% of carts", "20 % of all carts", effort)
    assert between("18% of carts", "20 % of all carts", effort) == [
        Piece(Mark.REMOVED, "18% of"),
        Piece(Mark.ADDED, "20 % of all"),
        Piece(Mark.SAME, " carts"),
    ]


def test_a_text_longer_than_any_that_can_be_stored_is_not_compared():
    long = "About 18% failed.\n" * 15_000
    assert between(long, long + "So.", Effort()) == replaced(long, long + "So.")


def test_the_largest_texts_that_can_be_stored_are_compared_in_bounded_time():
    before = "\n".join(f"{n} resize flushed every key" for n in range(9_000))
    after = "\n".join(f"{n} resize kept every key {n % 7}" for n in range(9_000, 0, -1))
    begun = time.perf_counter()
    pieces = between(before, after, Effort())
    assert time.perf_counter() - begun < 5
    assert "".join(piece.text for piece in side(pieces, Mark.ADDED)) == after
