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
def test_the_same_key_in_two_mappings_is_read(own: bool) -> None:
    assert plain_yaml.read("a: {a: x}\nrows: [{a: y}, {a: z}]\n", own=own) == {
        "a": {"a": "x"},
        "rows": [{"a": "y"}, {"a": "z"}],
    }


def test_files_of_the_project_have_numbers_and_keys_of_two_kinds() -> None:
    assert plain_yaml.read("1: 2.5\n'1': yes\n", own=True) == {1: 2.5, "1": True}


@pytest.mark.parametrize(
    "text",
    ["1.10", "2.0", "0x10", "1_000", "12:30:45", "0777", "1e3", ".inf", "On", "No", "yes", "TRUE", "off"],
)
def test_in_files_from_anywhere_nothing_is_read_into_a_text_that_looks_like_a_number_or_a_truth(text: str) -> None:
    assert plain_yaml.read(f"a: {text}\nb:\nc: ~") == {"a": text, "b": None, "c": None}


@FOR_EVERYBODY
def test_dates_stay_texts(own: bool) -> None:
    assert plain_yaml.read("day: 2024-02-29", own=own) == {"day": "2024-02-29"}
