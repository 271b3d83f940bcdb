"""Forms read from a page and sent back as a browser without scripts would, or as htmx does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from incidents.models import Incident

HTMX = {"HX-Request": "true"}


@dataclass
class Form:
    """One form: where it is posted, and every value that a browser would send with its first button."""

    id: str
    action: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def with_(self, **changes: Any) -> dict[str, list[str]]:
        """The values with some changed; names with a dash are given with an underscore in its place."""
        wanted = {name: value if isinstance(value, list) else [value] for name, value in changes.items()}
        names = {name.replace("-", "_"): name for name in self.values}
        return {**self.values, **{names.get(name, name): value for name, value in wanted.items()}}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.by_id: dict[str, Form] = {}
        self.waiting: list[tuple[str, str, str]] = []
        self.open: Form | None = None
        self.select: tuple[str, str | None] | None = None
        self.area: str | None = None
        self.written = ""
        self.area_form = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.open = Form(has.get("id", ""), has.get("action", ""))
            self.forms.append(self.open)
            self.by_id[self.open.id] = self.open
        elif tag == "input" and has.get("name"):
            self._input(has)
        elif tag == "textarea":
            self.area, self.written, self.area_form = has.get("name", ""), "", has.get("form", "")
        elif tag == "select":
            self.select = (has.get("name", ""), None)
        elif tag == "option" and self.select:
            name, chosen = self.select
            if "selected" in has or chosen is None:
                self.select = (name, has.get("value", ""))

    def _input(self, has: dict[str, str]) -> None:
        kind = has.get("type", "text")
        if (kind in ("checkbox", "radio") and "checked" not in has) or kind == "submit":
            return
        if "form" in has:
            self.waiting.append((has["form"], has["name"], has.get("value", "")))
        elif self.open:
            self.open.values.setdefault(has["name"], []).append(has.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None
        elif tag == "textarea" and self.area is not None:
            # A browser drops the first line break of a text area.
            written = self.written.removeprefix("\n")
            if self.area_form:
                self.waiting.append((self.area_form, self.area, written))
            elif self.open and self.area:
                self.open.values.setdefault(self.area, []).append(written)
            self.area = None
        elif tag == "select" and self.select:
            if self.open and self.select[1] is not None:
                self.open.values.setdefault(self.select[0], []).append(self.select[1])
            self.select = None

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.written += data


def forms_in(response: HttpResponse) -> dict[str, Form]:
    """The forms of a page, by id; those without one by where they are posted."""
    reader = _Forms()
    reader.feed(response.content.decode())
    for form_id, name, value in reader.waiting:
        reader.by_id[form_id].values.setdefault(name, []).append(value)
    return {form.id or form.action: form for form in reader.forms}


def text_of(response: HttpResponse) -> str:
    """What a person reads, with single spaces."""

    class Reader(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += data + " "

    reader = Reader(convert_charrefs=True)
    reader.feed(response.content.decode())
    return " ".join(reader.text.split())


@dataclass
class Writer:
    """Somebody of the cast at the editor of one incident."""

    client: Client
    incident: Incident

    def address(self, rest: str = "") -> str:
        return f"/incidents/{self.incident.ref}/edit{rest}"

    def open(self) -> dict[str, Form]:
        response = self.client.get(self.address())
        assert response.status_code == 200, response
        return forms_in(response)

    def send(self, form: Form, *, htmx: bool = False, **changes: Any) -> Any:
        return self.client.post(form.action, form.with_(**changes), headers=HTMX if htmx else {})


@pytest.fixture
def writer(browser: Callable[[str], Client]) -> Callable[[str, Incident], Writer]:
    """writer("author", incident)"""

    def sit_down(name: str, incident: Incident) -> Writer:
        return Writer(browser(name), incident)

    return sit_down
