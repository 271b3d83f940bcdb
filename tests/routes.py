"""Every route of the site, from the project's URL resolver, for the permission matrices.

under /api/v1/                  tests/api/test_permissions.py
pages, except for writing       tests/web/people/test_who_may.py
pages for writing               tests/web/writing/test_who_may.py
everything else                 tests/web/test_operate.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

from kb.web.writing.urls import urlpatterns as about_writing


@dataclass(frozen=True)
class Route:
    """`path` is as written in the URL patterns, such as /incidents/<str:reference>."""

    namespace: str
    path: str
    pattern: URLPattern

    @property
    def is_rest(self) -> bool:
        return self.path.startswith("/api/v1/")

    @property
    def is_page(self) -> bool:
        return self.namespace == "web" and not self.is_rest

    @property
    def is_writing(self) -> bool:
        return self.is_page and self.pattern in about_writing


def every_route() -> list[Route]:
    return list(_inside(get_resolver(), "", "/"))


def _inside(resolver: URLResolver, namespace: str, path: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        longer = path + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _inside(entry, entry.namespace or namespace, longer)
        else:
            yield Route(namespace, longer, entry)
