"""gunicorn's configuration for pages and REST; gunicorn finds this file by itself. GUNICORN_CMD_ARGS overrides it."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.config import Config
from gunicorn.http import message, parser

from kb.settings import DATA_UPLOAD_MAX_MEMORY_SIZE
from kb.settings import LOGGING as logconfig_dict  # noqa: F401  (gunicorn's own log lines look like all others)

_host, _port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "gthread"
# Rate limits are counted in the cache, which several processes share only if there is a Redis.
workers, threads = (2, 4) if os.environ.get("CELERY_BROKER_URL") else (1, 8)
timeout = 60
preload_app = True
# A search can be as long as a pasted stack trace: 10,000 characters, each of which can take 12 in a URL. gunicorn caps
# this setting at a maximum of its own, so that is raised too. 0 would mean no limit: one endless line would fill the
# memory.
limit_request_line = message.MAX_REQUEST_LINE = 128 * 1024
# Requests from such a page carry its URL in a header (Referer, HX-Current-URL). Fewer headers keep their total small.
limit_request_field_size = limit_request_line
limit_request_fields = 64
# When a request is refused early (for its token, say), gunicorn reads and drops its body to reach the next request on
# the connection: for five seconds at most, and up to the size of the largest body that is accepted.
parser._DRAIN_MAX_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE + 1
control_socket_disable = True

# Several processes keep their metrics in files, and whichever is asked for /metrics adds them up. The files are mapped
# into memory, where a write that finds the disk full kills the process, so they are kept off the data disk.
# The library looks for the folder when it is imported, so it is set before the application is loaded.
_given = Config()
_workers_given = _given.parser().parse_known_args(_given.get_cmd_args_from_env())[0].workers
if (_workers_given or workers) > 1:
    _memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  (the folder inside is private)
    _own = f"precedent-counts-{os.getpid()}-"
    # A reload reads this file again, and must keep the folder with the counts so far.
    if not Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).name.startswith(_own):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_own, dir=_memory)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def when_ready(server: Any) -> None:
    """Freeze what is loaded: the garbage collector would write to these pages, which the worker processes share, and so
    copy them."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    from django.conf import settings

    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from kb import tracing

        tracing.start()


def pre_request(worker: Any, req: Any) -> None:
    """Close the connection after a body that is too long or of unknown length, and say so in the response: otherwise
    the client would send its next request into a connection that is being closed."""
    headers = dict(req.headers)
    if "TRANSFER-ENCODING" in headers or int(headers.get("CONTENT-LENGTH", 0)) > DATA_UPLOAD_MAX_MEMORY_SIZE:
        req.force_close()


def child_exit(server: Any, worker: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
