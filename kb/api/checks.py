"""Throttle rates that cannot be read stop the start, instead of failing at the first request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from kb.api.throttling import parse

VARIABLES = {"user": "API_RATE_USER", "address": "API_RATE_ADDRESS"}


@register()
def rates_can_be_read(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    found: list[CheckMessage] = []
    for scope, variable in VARIABLES.items():
        try:
            parse(rates[scope])
        except ValueError as error:
            hint = f"Set {variable} to a number of requests per s, min, hour or day."
            found.append(Error(f"{variable}: {error}.", hint=hint, id="kb.E020"))
    return found
