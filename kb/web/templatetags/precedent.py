"""Template tags and filters that are available in every template without {% load %}."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from incidents import vocabulary, wording
from incidents.durations import Duration, Moment, in_words
from kb.web import times
from kb.web.markdown import to_html
from kb.web.marking import Mark, in_plain_text

register = template.Library()


@register.simple_tag(takes_context=True)
def markdown(context: template.Context, text: str | None, first_heading: int = 3) -> SafeString:
    """Markdown as safe HTML, its largest heading at level `first_heading`."""
    return to_html(text or "", first_heading=first_heading, allowance=context["allowance"])


@register.simple_tag(takes_context=True)
def marked_markdown(context: template.Context, text: str, field: str, first_heading: int = 3) -> SafeString:
    """Markdown on an incident's page as safe HTML, with the page's marks for this field drawn in it."""
    return to_html(text, first_heading=first_heading, marks=_marks(context, field), allowance=context["allowance"])


@register.simple_tag(takes_context=True)
def marked_title(context: template.Context, title: str) -> SafeString:
    """Like `marked_markdown`, for the title, which is plain text."""
    return in_plain_text(title, _marks(context, "title"))


def _marks(context: template.Context, field: str) -> Sequence[Mark]:
    why = context["page"].why
    return why.marks.get(field, ()) if why else ()


@register.simple_tag
def moment(
    at: Moment | datetime | times.FormattedMoment | None, zone: str = "UTC", part: str = "whole"
) -> str | SafeString:
    """A <time> element in the reader's zone, with UTC as its tooltip. `part` is "whole", "day" or "clock"."""
    if at is None:
        return ""
    formatted = (
        at
        if isinstance(at, times.FormattedMoment)
        else times.format_timestamp(at)
        if isinstance(at, datetime)
        else times.format_moment(at, zone=zone)
    )
    words = getattr(formatted, part) or formatted.day
    if formatted.utc:
        return format_html('<time datetime="{}" title="{}">{}</time>', formatted.iso, formatted.utc, words)
    return format_html('<time datetime="{}">{}</time>', formatted.iso, words)


@register.filter
def day(value: date | None) -> str:
    """A date in words, for example "31 March 2026"."""
    return f"{value.day} {value:%B} {value.year}" if value else ""


@register.filter
def duration(value: Duration | int | None) -> str:
    """A duration, or a number of seconds, in words: "2 h 40 min", or "about 2 h" when it is uncertain."""
    if value is None:
        return ""
    return times.duration_words(value) if isinstance(value, Duration) else in_words(value)


@register.simple_tag
def severity(value: str | None) -> str | SafeString:
    """The pill of a severity, or nothing when it is unknown."""
    if not value or value not in vocabulary.Severity.values:
        return ""
    return format_html('<span class="pill {}">{}</span>', value, vocabulary.Severity(value).label)


@register.filter
def label(value: Any, words: str) -> str:
    """The label of a value in a vocabulary class of the record: {{ incident.status|label:"Status" }}."""
    choices = getattr(vocabulary, words)
    return choices(value).label if value in choices.values else ""


@register.filter
def is_symmetric(kind: str) -> bool:
    """Does a link of this kind say the same of either incident?"""
    return vocabulary.LinkKind(kind).is_symmetric


@register.filter
def address(url: str | None) -> str:
    """An address that is safe as a link target.

    Addresses are checked when they are stored. As a second line of defense, anything but http(s) becomes "#".
    """
    return url if url and url.lower().startswith(("https://", "http://")) else "#"


@register.filter
def percent(share: float) -> str:
    """A share between 0 and 1 as a percentage, for example "86%"."""
    return f"{share:.0%}"


@register.filter
def with_noun(number: int, noun: str) -> str:
    """A number with its noun: "17 incidents", "1 incident", "no incidents", and "family,families" for the plural."""
    return wording.with_noun(number, noun, zero="no")
