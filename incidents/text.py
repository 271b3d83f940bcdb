"""Reading text that people and tools send in: what is refused, what is stripped, how long it may be."""

from __future__ import annotations

import re
import unicodedata

from incidents.errors import Invalid

# Search engines put these two around matches; they are stripped from everything that comes in, so that
# nobody can forge a highlight.
MARK_START, MARK_END = "\ue000", "\ue001"
_STRIPPED = re.compile(f"[{MARK_START}{MARK_END}]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Control characters have no meaning in Markdown or JSON exports; tabs and line breaks do.
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Characters that show nothing of themselves: by their category, and those that Unicode files among letters, marks and
# symbols or keeps for later (what it calls Default_Ignorable, and the empty Braille cell).
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)

TITLE_CHARACTERS = 200
SECTION_BYTES = 256 * 1024
INCIDENT_BYTES = 1024 * 1024


def is_blank(text: str) -> bool:
    """There is nothing to read here: nothing at all, or only characters that nobody sees."""
    return all(unicodedata.category(c) in _UNSEEN_CATEGORIES or _UNSEEN.match(c) for c in text)


def printable(text: str) -> str:
    """The text as a line on a terminal: what would act there, as a line break or an escape, stands there as U+FFFD."""
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
    """The text as it may be stored: NFC, `\\n` line ends, no control characters, no highlight marks; empty when nothing
    in it can be seen.

    Raises Invalid, naming `field`, for a NUL, a lone surrogate, something that is no text, a text that is too long,
    or an empty one where one is required.
    """
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise Invalid({field: "This takes text."})
    if "\x00" in value:
        raise Invalid({field: "The text holds a NUL character (U+0000). Remove it and try again."})
    if _LONE_SURROGATE.search(value):
        raise Invalid(
            {field: "The text holds half of a surrogate pair, which is no character. Remove it and try again."}
        )
    text = _CONTROL.sub("", _STRIPPED.sub("", value.replace("\r\n", "\n").replace("\r", "\n")))
    text = unicodedata.normalize("NFC", text)
    text = " ".join(text.split()) if single_line else text.rstrip()
    if is_blank(text):
        text = ""
    if required and not text:
        raise Invalid({field: "This is needed."})
    if max_characters is not None and len(text) > max_characters:
        raise Invalid({field: f"At most {max_characters:,} characters; this has {len(text):,}."})
    if max_bytes is not None and (size := len(text.encode())) > max_bytes:
        raise Invalid(
            {
                field: f"At most {max_bytes // 1024:,} KiB; this has {size // 1024 + 1:,} KiB. "
                "Move logs and long listings to a linked page."
            }
        )
    return text


def clean_url(field: str, value: object, *, required: bool = False) -> str:
    """An absolute http(s) address, or empty. Other schemes are refused: they would run in a reader's browser."""
    text = clean(field, value, max_characters=1_000, required=required, single_line=True)
    site = re.match(r"https?://([^/?#]+)", text, re.IGNORECASE)
    if text and (site is None or re.search(r"\s", site[1])):
        raise Invalid({field: "Give a full address that begins with https:// or http://."})
    if site and "@" in site[1]:
        raise Invalid({field: "Leave out what stands before the @: whoever reads the address could sign in with it."})
    return text


def clean_choice(field: str, value: object, choices: list[str], *, optional: bool = False) -> str | None:
    """One of `choices`, or None where that is allowed."""
    if value in (None, "") and optional:
        return None
    if not isinstance(value, str) or value not in choices:
        raise Invalid({field: f"Choose one of {', '.join(choices)}."})
    return value
