"""The differences between two texts: both can be rebuilt from the pieces, and comparing takes bounded time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from kb.web.writing.differences import Mark, Piece, between, side

TEXTS = st.text(alphabet="ab c\n.é", max_size=120)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_rebuilt_from_the_pieces(before, after):
    pieces = between(before, after)
    assert "".join(piece.text for piece in side(pieces, Mark.REMOVED)) == before
    assert "".join(piece.text for piece in side(pieces, Mark.ADDED)) == after


@given(TEXTS)
def test_a_text_has_no_differences_to_itself(text):
    assert between(text, text) == ([Piece(Mark.SAME, text)] if text else [])


def test_only_the_words_that_differ_are_marked():
    pieces = between("About 18% of checkouts failed.\nNobody knew.", "Nearly 20% of checkouts failed.\nNobody knew.")
    assert [piece.text for piece in pieces if piece.mark is Mark.REMOVED] == ["About 18"]
    assert [piece.text for piece in pieces if piece.mark is Mark.ADDED] == ["Nearly 20"]


def test_the_largest_texts_that_can_be_stored_are_compared_in_bounded_time():
    before = "\n".join(f"{n} resize flushed every key" for n in range(9_000))
    after = "\n".join(f"{n} resize kept every key {n % 7}" for n in range(9_000, 0, -1))
    begun = time.perf_counter()
    pieces = between(before, after)
    assert time.perf_counter() - begun < 5
    assert "".join(piece.text for piece in side(pieces, Mark.ADDED)) == after
