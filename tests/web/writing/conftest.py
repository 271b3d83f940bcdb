"""Reads forms from a page and sends them as a browser without scripts or htmx would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from lxml.html import document_fromstring

from incidents.models import Incident

HTMX = {"HX-Request": "true"}


@dataclass
class Form:
    """One form: the address it posts to, and the values that a browser would send with its first button."""

    id: str
    action: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def with_(self, **changes: Any) -> dict[str, list[str]]:
        """The values with some changed. Dashes in names are written as underscores."""
        wanted = {name: value if isinstance(value, list) else [value] for name, value in changes.items()}
        names = {name.replace("-", "_"): name for name in self.values}
        return {**self.values, **{names.get(name, name): value for name, value in wanted.items()}}


def forms_in(response: HttpResponse) -> dict[str, Form]:
    """The forms of a page by id, or by the address they post to if they have none."""
    document = _read(response)
    forms = {form: Form(form.get("id", ""), form.get("action", "")) for form in document.forms}
    by_id = {form.id: form for form in forms.values()}
    for control in document.xpath("//*[self::input or self::select or self::textarea][@name]"):
        around = next(control.iterancestors("form"), None)
        form = by_id[control.get("form")] if control.get("form") else forms.get(around)
        if form is not None and (sent := _sent(control)):
            form.values.setdefault(control.name, []).extend(sent)
    return {form.id or form.action: form for form in forms.values()}


def text_of(response: HttpResponse) -> str:
    """The text of a page, with whitespace collapsed."""
    return " ".join(" ".join(_read(response).xpath("//text()")).split())


def kept_texts(response: HttpResponse) -> list[str]:
    """The texts that a page gives back for copying, because they could not be saved."""
    return [field.value.removeprefix("\n") for field in _read(response).xpath("//textarea[@readonly]")]


def _read(response: HttpResponse) -> Any:
    return document_fromstring(response.content.decode() or "<p>")


def _sent(control: Any) -> list[str]:
    """The values that a browser would send for an input, select or textarea."""
    if "disabled" in control.attrib:
        return []
    if control.tag == "textarea":
        # Browsers drop the first line break in a textarea.
        return [control.value.removeprefix("\n")]
    if control.tag == "select":
        return list(control.value) if control.multiple else [value for value in [control.value] if value is not None]
    if control.type in ("submit", "button", "reset", "image") or (control.checkable and not control.checked):
        return []
    return [control.get("value", "")]


@dataclass
class Writer:
    """A member of the cast in the editor of one incident."""

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
    """writer("author", incident) is a Writer signed in as that member of the cast."""

    def sit_down(name: str, incident: Incident) -> Writer:
        return Writer(browser(name), incident)

    return sit_down
