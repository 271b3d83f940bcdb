"""The type of the request in views: Django's own, with the attributes that middleware adds."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from incidents.scopes import Viewer


class Request(HttpRequest):
    """`viewer` is resolved at first use and then fixed for the rest of the request."""

    viewer: Viewer
    htmx: HtmxDetails
