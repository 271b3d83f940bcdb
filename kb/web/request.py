"""The request as pages see it: Django's own, with the viewer and htmx that middleware adds."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from incidents.scopes import Viewer


class Request(HttpRequest):
    """`viewer` is who is asking, resolved at its first use and then fixed for the request."""

    viewer: Viewer
    htmx: HtmxDetails
