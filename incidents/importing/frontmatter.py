"""Reads Markdown files with YAML front matter in the postmortems.app format.

Front matter: uuid, url, archive_url, title, start_time, end_time, categories, keywords, company, product, summary,
source_published_at, source_fetched_at. Other keys are ignored, and all are optional, except that there must be a uuid
or an address. The body is the account of what happened.
"""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from incidents import markdown, plain_yaml
from incidents.actions.imports import SectionText
from incidents.durations import read_moment
from incidents.errors import Invalid
from incidents.importing.candidates import NOT_SAID, Candidate, page_keys
from incidents.text import SECTION_BYTES, TITLE_CHARACTERS, clean, clean_url, is_blank
from incidents.vocabulary import Precision

IDENTITY = "postmortems.app"
UNKNOWN_ORGANIZATION = "Unknown"
ONLY_IN_ACCOUNT = "The source does not separate this from its account."
HEADER_BYTES = 64 * 1024
DERIVED_TITLE_CHARACTERS = 120

# The account is one text, and goes into one section: splitting it up would be guesswork.
TEMPLATE: dict[str, Any] = {
    "key": "imported-account",
    "name": "Imported account",
    "sections": [
        {"key": "summary", "title": "Summary", "kind": "prose"},
        {"key": "account", "title": "What happened", "kind": "prose"},
        {"key": "impact", "title": "Impact", "kind": "prose"},
        {"key": "timeline", "title": "Timeline", "kind": "records", "records": "timeline"},
        {"key": "causes", "title": "Causes and contributing factors", "kind": "records", "records": "causes"},
        {"key": "lessons", "title": "Lessons", "kind": "records", "records": "lessons"},
        {"key": "actions", "title": "Action items", "kind": "records", "records": "actions"},
        {"key": "sources", "title": "Sources", "kind": "records", "records": "sources"},
    ],
}
_SECTION_HEADINGS = {section["title"].casefold() for section in TEMPLATE["sections"]}

_HEADER = re.compile(r"\A---[ \t]*\n(?P<header>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ]+(?P<clock>\d\d:\d\d(?::\d\d)?)(?:\.\d*)?[ \t]*(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?"
)
# Incidents hardly ever start or end exactly then: this is how a day is written where a time is required.
_WHOLE_DAY = ("00:00", "00:00:00", "23:59:59")
# Up to the next comma outside parentheses and numbers such as 1,000.
_NAME = re.compile(r"(?:\([^()]*\)|(?<=\d),(?=\d{3}(?!\d))|[^,])+")
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_SENTENCE = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


def read(name: str, text: str) -> Candidate:
    """Raises Invalid, naming what is wrong."""
    header, body = _split(text)
    uuid = _uuid(header)
    url, archive_url = (clean_url(key, header.get(key)) for key in ("url", "archive_url"))
    if not (uuid or url or archive_url):
        raise Invalid(
            {"uuid": "There is neither a uuid nor a url, so it could not be recognized when it is imported again."}
        )
    pages = page_keys(url, archive_url)
    identity = str(uuid) if uuid else f"url-{uuids.uuid5(uuids.NAMESPACE_URL, (pages or (url or archive_url,))[0])}"
    company, product = _line(header, "company"), _names(header, "product")
    # Refuse a text that is too long to be stored before parsing it as Markdown, which is slow.
    body = clean("sections.account.body", body, max_bytes=SECTION_BYTES)
    opening = markdown.opening(body)
    summary = clean("summary", header.get("summary"), max_bytes=SECTION_BYTES) or opening.paragraph
    account = _account(header, "" if body == summary else body)
    title = _line(header, "title") or _derived_title(opening.heading, summary, company, product)
    started, resolved = _moment("start_time", header), _moment("end_time", header)
    start, end = read_moment("start_time", started), read_moment("end_time", resolved)
    if start and end and end.surely_before(start):
        raise Invalid({"end_time": "The end is before the start. Check both times."})
    absent = ONLY_IN_ACCOUNT if account or body.strip() else NOT_SAID
    return Candidate(
        name=name,
        identity=f"{IDENTITY}:{identity}",
        by_page=uuid is None,
        pages=pages,
        facts={
            "title": title,
            "organization": company or UNKNOWN_ORGANIZATION,
            "services": product,
            "time_zone": "UTC",
            "started": started,
            "resolved": resolved,
        },
        organization={"name": company or UNKNOWN_ORGANIZATION},
        sections={
            "summary": SectionText(body=summary or NOT_SAID),
            "account": SectionText(body=account),
            "impact": SectionText(body=absent),
            **{key: SectionText(none_reason=absent) for key in ("timeline", "causes", "lessons", "actions")},
        },
        rows={"sources": [_source(header, url or archive_url, archive_url if url else "", title, company)]}
        if url or archive_url
        else {},
        template=TEMPLATE,
    )


def _split(text: str) -> tuple[dict[str, Any], str]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    match = _HEADER.match(text)
    if match is None:
        raise Invalid({"front matter": "There is none. The file must begin with YAML between two lines of ---."})
    if len(match["header"]) > HEADER_BYTES:
        raise Invalid({"front matter": f"It is longer than {HEADER_BYTES // 1024} KiB."})
    try:
        # The empty line takes the place of the first ---, so that line numbers match the file.
        header = plain_yaml.read("\n" + match["header"])
    except plain_yaml.Unreadable as error:
        raise Invalid({"front matter": f"It is not YAML: {error}."}) from error
    if header is None:
        header = {}
    if not isinstance(header, dict):
        raise Invalid({"front matter": "It must be a mapping of names to values."})
    return header, _BLANK_LINES.sub("", text[match.end() :]).rstrip()


def _line(header: Mapping[str, Any], key: str) -> str:
    return clean(key, header.get(key), single_line=True)


def _names(header: Mapping[str, Any], key: str) -> list[str]:
    """The names in a list, or in a line separated by commas."""
    value = header.get(key)
    if isinstance(value, list):
        names = [_line({f"{key}.{place}": name}, f"{key}.{place}") for place, name in enumerate(value)]
    else:
        names = _NAME.findall(_line(header, key))
    return list(dict.fromkeys(name.strip() for name in names if not is_blank(name)))


def _uuid(header: Mapping[str, Any]) -> uuids.UUID | None:
    value = _line(header, "uuid")
    try:
        return uuids.UUID(value) if value else None
    except ValueError as error:
        raise Invalid({"uuid": f"{value[:80]} is not a UUID."}) from error


def _moment(key: str, header: Mapping[str, Any]) -> dict[str, Any] | None:
    """The time in the form that read_moment takes. A time without a zone is UTC."""
    value = header.get(key)
    if value in (None, ""):
        return None
    if isinstance(value, date | datetime):
        value = value.isoformat()
    at, precision = value, None
    if isinstance(value, str) and (match := _TIME.fullmatch(value.strip())):
        day, clock, offset = match["day"], match["clock"], match["offset"] or ""
        if clock in _WHOLE_DAY:
            at = day
        else:
            at = f"{day}T{clock}{offset if len(offset) != len('+05') else offset + ':00'}"
            precision = (Precision.SECOND if len(clock) == 8 and clock[-2:] != "00" else Precision.MINUTE).value
    moment = {"at": at, **({"precision": precision} if precision else {})}
    read_moment(key, moment)
    return moment


def _account(header: Mapping[str, Any], account: str) -> str:
    """The account, followed by the source's categories and keywords."""
    filed = [
        f"{label} at the source: {', '.join(map(markdown.plain, names))}."
        for label, names in (("Categories", _names(header, "categories")), ("Keywords", _names(header, "keywords")))
        if names
    ]
    return "\n\n".join(filter(None, [account, *filed]))


def _derived_title(heading: str, summary: str, company: str, product: list[str]) -> str:
    """A title for a file without one, shortened: the heading of its account, unless that only names a section such as
    Summary; else the first sentence of its summary; else whose incident it was."""
    words = heading
    if is_blank(words) or words.casefold() in _SECTION_HEADINGS:
        opening = markdown.opening(summary)
        words = opening.words or opening.heading
        words = match[0].rstrip(".") if (match := _SENTENCE.match(words)) else words
    # HTML entities can decode to characters that a title must not contain.
    words = clean("title", words, single_line=True)
    if not words:
        return f"Incident at {company or UNKNOWN_ORGANIZATION}" + (f": {product[0]}" if product else "")
    if len(words) > DERIVED_TITLE_CHARACTERS:
        words = words[:DERIVED_TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    return words


def _source(header: Mapping[str, Any], url: str, archive_url: str, title: str, company: str) -> dict[str, Any]:
    supports = {
        "company": "organization",
        "product": "services",
        "start_time": "started",
        "end_time": "resolved",
        "summary": "summary",
    }
    return {
        "url": url,
        "archive_url": archive_url,
        "publisher": company[:120],
        "title": title[:TITLE_CHARACTERS],
        "published": _day(header, "source_published_at"),
        "looked_up": _day(header, "source_fetched_at"),
        "primary": False,
        "supports": [fact for key, fact in supports.items() if header.get(key)] + ["account"],
    }


def _day(header: Mapping[str, Any], key: str) -> str | None:
    """The day of an optional date; None if it is missing or not a date."""
    try:
        return date.fromisoformat(str(header.get(key))[:10]).isoformat()
    except ValueError:
        return None
