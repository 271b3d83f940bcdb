"""Tells when two web addresses lead to the same page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ARCHIVED = re.compile(r"^https?://web\.archive\.org/web/\d+[a-z_]*/(?P<url>.+)$", re.IGNORECASE)


def page_key(url: str) -> str:
    """A key that is equal for addresses of the same page. It ignores an archive's prefix, the scheme, a leading www, a
    default port, a trailing slash and the fragment."""
    if archived := _ARCHIVED.match(url.strip()):
        url = archived["url"]
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:
        return url.strip()
    query = f"?{parts.query}" if parts.query else ""
    return f"{host}{port}{parts.path.rstrip('/')}{query}"
