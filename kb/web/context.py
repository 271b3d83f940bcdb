"""Template context of every page: the home organization, the viewer and the navigation, and what Markdown can take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from incidents.markdown_bounds import Allowance
from incidents.models import Organization


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """One entry of a navigation."""

    title: str
    url: str
    is_current: bool


# (title, URL name of its page, names of all pages for which the entry is current)
NAVIGATION = (
    ("Incidents", "web:incidents", ("incidents", "incident", "search")),
    ("Famous outages", "web:outages", ("outages",)),
    ("Patterns", "web:patterns", ("patterns", "pattern")),
)
ACCOUNT = (
    ("Your account", "web:account", ("account",)),
    ("Tokens", "web:tokens", ("tokens",)),
    ("Teams", "web:teams", ("teams", "team")),
)
ADMINISTRATION = (("People", "web:people", ("people",)),)


def _home_organization() -> str:
    return Organization.objects.filter(is_home=True).values_list("name", flat=True).first() or ""


def navigation(request: HttpRequest, entries: Iterable[tuple[str, str, tuple[str, ...]]]) -> list[NavigationEntry]:
    match = request.resolver_match
    current_page = match.url_name if match and match.namespaces == ["web"] else None
    return [NavigationEntry(title, reverse(name), current_page in pages) for title, name, pages in entries]


def site(request: HttpRequest) -> dict[str, Any]:
    viewer = getattr(request, "viewer", None)
    return {
        # The lazy values cost a query that not every page needs.
        "home_organization": SimpleLazyObject(_home_organization),
        "viewer": viewer,
        "may_write": SimpleLazyObject(lambda: bool(viewer and (viewer.is_admin or viewer.writes_for))),
        "navigation": navigation(request, NAVIGATION),
        "account_menu": navigation(request, (*ACCOUNT, *ADMINISTRATION) if viewer and viewer.is_admin else ACCOUNT),
        "zone_name": str(timezone.get_current_timezone()),
        "search_text": request.GET.get("q", ""),
        # Shared by all Markdown on the page.
        "allowance": Allowance(),
    }
