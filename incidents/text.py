"""Cleans text that people and tools send: what is refused, what is stripped, and how long it can be."""

from __future__ import annotations

import re
import unicodedata

from incidents.errors import Invalid

# Search engines put these two around matches. They are stripped from all input, so that a highlight cannot be
# forged.
MARK_START, MARK_END = "\ue000", "\ue001"
_STRIPPED = re.compile(f"[{MARK_START}{MARK_END}]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Control characters have no meaning in Markdown or JSON exports; tabs and line breaks do.
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Invisible characters: whole categories, and single ones that Unicode counts among letters, marks and symbols or leaves
# unassigned (those it calls Default_Ignorable, and the blank Braille pattern).
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)

TITLE_CHARACTERS = 200
# Of people, organizations, services and accounts.
NAME_CHARACTERS = 120
SECTION_BYTES = 256 * 1024
INCIDENT_BYTES = 1024 * 1024


def is_blank(text: str) -> bool:
    """True when the text is empty or has only invisible characters."""
    return all(unicodedata.category(c) in _UNSEEN_CATEGORIES or _UNSEEN.match(c) for c in text)


def printable(text: str) -> str:
    """The text as one line for a terminal: characters that would act on it, such as escapes, become U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def clean(
    field: str,
    value: object,
    *,
    max_characters: int | None = None,
    max_bytes: int | None = None,
    required: bool = False,
    single_line: bool = False,
) -> str:
    """The text as it is stored: NFC, `\\n` line ends, no control characters, no highlight marks; empty when it has no
    visible characters.

    Raises Invalid, naming `field`, for a NUL, a lone surrogate, a value that is not text, text that is too long, or
    empty text when it is `required`.
    """
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise Invalid({field: "This must be text."})
    if "\x00" in value:
        raise Invalid({field: "The text contains a NUL character (U+0000). Remove it and try again."})
    if _LONE_SURROGATE.search(value):
        raise Invalid(
            {field: "The text contains half of a surrogate pair, which is not a character. Remove it and try again."}
        )
    text = _CONTROL.sub("", _STRIPPED.sub("", value.replace("\r\n", "\n").replace("\r", "\n")))
    text = unicodedata.normalize("NFC", text)
    text = " ".join(text.split()) if single_line else text.rstrip()
    if is_blank(text):
        text = ""
    if required and not text:
        raise Invalid({field: "This field is required."})
    if max_characters is not None and len(text) > max_characters:
        raise Invalid({field: f"This can have at most {max_characters:,} characters; it has {len(text):,}."})
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise Invalid(
            {
                field: f"This can have at most {max_bytes // 1024:,} KiB; it has {size // 1024 + 1:,} KiB. "
                "Move logs and long listings to a linked page."
            }
        )
    return text


def clean_url(field: str, value: object, *, required: bool = False) -> str:
    """An absolute http(s) address, or empty. Other schemes are refused: some would run code in a reader's browser."""
    text = clean(field, value, max_characters=1_000, required=required, single_line=True)
    site = re.match(r"https?://([^/?#]+)", text, re.IGNORECASE)
    if text and (site is None or re.search(r"\s", site[1])):
        raise Invalid({field: "Enter a full address that starts with https:// or http://."})
    if site and "@" in site[1]:
        raise Invalid({field: "Remove the sign-in details before the @. Anyone who reads this address could use them."})
    return text


def clean_choice(field: str, value: object, choices: list[str], *, optional: bool = False) -> str | None:
    """One of `choices`, or None where that is allowed."""
    if value in (None, "") and optional:
        return None
    if not isinstance(value, str) or value not in choices:
        raise Invalid({field: f"Choose one of {', '.join(choices)}."})
    return value
