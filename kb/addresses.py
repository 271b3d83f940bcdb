"""IP addresses of clients."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse(text: str) -> Address | None:
    """The address in a text, also with a port: `203.0.113.9:4711`, `[2001:db8::1]:443`. None if there is none.

    An IPv4 address in IPv6 notation (::ffff:192.0.2.7) becomes an IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def counted(request: HttpRequest) -> str:
    """The client's address as limits count it. Of IPv6, whoever has one address usually has all of its network of 64
    bits, so those count as one."""
    text: str = request.META.get("REMOTE_ADDR", "")
    address = parse(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return text
