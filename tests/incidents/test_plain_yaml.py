"""YAML is read as it is written: text is not converted, and nothing is dropped silently."""

from __future__ import annotations

import pytest

from incidents import plain_yaml

BOTH_MODES = pytest.mark.parametrize("trusted", [True, False])


@BOTH_MODES
@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: 2\na: 3\n", 3), ("rows:\n  - a: 1\n    a: 1\n", 3), ("{a: 1, 'a': 2}", 1)],
)
def test_a_duplicate_key_is_refused_with_its_line(trusted: bool, text: str, line: int) -> None:
    with pytest.raises(plain_yaml.Unreadable, match=f"the key a appears twice in line {line}$"):
        plain_yaml.read(text, trusted=trusted)


@BOTH_MODES
def test_the_same_key_in_two_mappings_is_read(trusted: bool) -> None:
    assert plain_yaml.read("a: {a: x}\nrows: [{a: y}, {a: z}]\n", trusted=trusted) == {
        "a": {"a": "x"},
        "rows": [{"a": "y"}, {"a": "z"}],
    }


def test_files_of_the_project_can_have_numbers_booleans_and_keys_of_two_types() -> None:
    assert plain_yaml.read("1: 2.5\n'1': yes\n", trusted=True) == {1: 2.5, "1": True}


@pytest.mark.parametrize(
    "text",
    ["1.10", "2.0", "0x10", "1_000", "12:30:45", "0777", "1e3", ".inf", "On", "No", "yes", "TRUE", "off"],
)
def test_in_other_files_text_that_looks_like_a_number_or_a_boolean_stays_text(text: str) -> None:
    assert plain_yaml.read(f"a: {text}\nb:\nc: ~") == {"a": text, "b": None, "c": None}


@BOTH_MODES
def test_dates_stay_text(trusted: bool) -> None:
    assert plain_yaml.read("day: 2024-02-29", trusted=trusted) == {"day": "2024-02-29"}
