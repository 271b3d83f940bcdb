"""YAML as it is written: nothing is read into it, and nothing of it is dropped silently."""

from __future__ import annotations

import pytest

from incidents import plain_yaml

FOR_EVERYBODY = pytest.mark.parametrize("own", [True, False])


@FOR_EVERYBODY
@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: 2\na: 3\n", 3), ("rows:\n  - a: 1\n    a: 1\n", 3), ("{a: 1, 'a': 2}", 1)],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(own: bool, text: str, line: int) -> None:
    with pytest.raises(plain_yaml.Unreadable, match=f"the key a stands there twice in line {line}$"):
        plain_yaml.read(text, own=own)


@FOR_EVERYBODY
def test_the_same_key_in_two_mappings_and_keys_of_two_kinds_are_read(own: bool) -> None:
    text = "a: {a: 1}\nrows: [{a: 1}, {a: 2}]\n1: one\n'1': text\n"
    assert plain_yaml.read(text, own=own) == {"a": {"a": 1}, "rows": [{"a": 1}, {"a": 2}], 1: "one", "1": "text"}


@FOR_EVERYBODY
def test_dates_stay_texts(own: bool) -> None:
    assert plain_yaml.read("day: 2024-02-29", own=own) == {"day": "2024-02-29"}
