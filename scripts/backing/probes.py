"""Health probes that speak each service's own protocol, because an open port alone proves nothing.

Each probe takes the URL that the application would use and returns "" if the service is ready, or the reason why it is
not. No client library is installed yet when this runs.
"""

import base64
import json
import socket
import ssl
import struct
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import BaseHandler, HTTPSHandler, ProxyHandler, Request, build_opener

SECONDS = 2.0


def postgresql(url: str) -> str:
    """Begins a connection, as `pg_isready` does: any answer except "starting up" and the like means ready."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        return f"{parts.scheme}:// is not PostgreSQL"
    user, database = unquote(parts.username or "postgres"), unquote(parts.path.lstrip("/")) or "postgres"
    pairs = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
    hello = struct.pack("!II", len(pairs) + 8, 3 << 16) + pairs
    try:
        with _connect(parts, 5432) as connection:
            connection.sendall(hello)
            answer = connection.recv(4096)
    except OSError as error:
        return str(error)
    if not answer:
        return "closed the connection"
    return "is starting up or shutting down" if answer[:1] == b"E" and b"C57P0" in answer else ""


def redis(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        return f"{parts.scheme}:// is not Redis"
    words = [["PING"]]
    if parts.password:
        credentials = [unquote(text) for text in (parts.username, parts.password) if text]
        words.insert(0, ["AUTH", *credentials])
    try:
        with _connect(parts, 6379) as plain:
            secure = parts.scheme == "rediss"
            connection = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname) if secure else plain
            )
            answer = ""
            for command in words:
                connection.sendall(
                    "".join([f"*{len(command)}\r\n", *(f"${len(w.encode())}\r\n{w}\r\n" for w in command)]).encode()
                )
                answer = connection.recv(4096).decode(errors="replace").strip()
    except OSError as error:
        return str(error)
    return "" if answer == "+PONG" else answer.lstrip("-") or "closed the connection"


def elasticsearch(url: str, *, authority: str = "") -> str:
    """Yellow counts as healthy: on a single node replicas cannot be allocated.

    `authority`: path of the CA certificate for the node's own, if the machine does not trust that CA already.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}:// is not Elasticsearch"
    port = f":{parts.port}" if parts.port else ""
    address = f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
    request = Request(f"{address}/_cluster/health")  # noqa: S310  (the scheme was checked)
    if parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    try:
        # A proxy for outside traffic must not be used for a local service.
        handlers: list[BaseHandler] = [ProxyHandler({})]
        if parts.scheme == "https":
            # Only for https: loading the machine's trusted CAs takes longer than the request.
            handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=authority or None)))
        with build_opener(*handlers).open(request, timeout=SECONDS) as response:
            status = json.load(response).get("status")
    except HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(error)
    return "" if status in ("yellow", "green") else f"cluster status is {status}"


def _connect(parts: SplitResult, port: int) -> socket.socket:
    return socket.create_connection((parts.hostname or "localhost", parts.port or port), timeout=SECONDS)
