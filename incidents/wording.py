"""Nouns with their number or article, as pages, responses and commands word them."""

from __future__ import annotations


def with_noun(number: int, noun: str, *, zero: str = "0") -> str:
    """A number with its noun: "1,700 incidents", "1 incident"; `zero` stands for the number 0.

    An irregular plural follows the noun after a comma: "family,families".
    """
    one, _, many = noun.partition(",")
    return f"{f'{number:,}' if number else zero} {one if number == 1 else many or one + 's'}"


def mid_sentence(name: str) -> str:
    """A name as it is written within a sentence: "retry storm", "DNS failure"."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


def with_article(noun: str) -> str:
    """A noun with its indefinite article: "a cause", "an action item"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
