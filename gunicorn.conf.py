"""How gunicorn serves the pages and REST; it reads this file by itself. GUNICORN_CMD_ARGS adds to what stands here."""

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
from kb.settings import LOGGING as logconfig_dict  # noqa: F401  (its own lines are like all others)

_host, _port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "gthread"
# How often somebody asked is counted in the cache, which processes share where there is a Redis.
workers, threads = (2, 4) if os.environ.get("CELERY_BROKER_URL") else (1, 8)
timeout = 60
preload_app = True
# A search may be as long as a pasted stack trace: 10,000 characters, each of which takes up to 12 in an address.
# gunicorn lowers any limit to its own highest, so that is raised too. Its 0 is no limit at all: one line without an end
# would fill the memory.
limit_request_line = message.MAX_REQUEST_LINE = 128 * 1024
# The page of such a search sends its own address along, as a header. Fewer headers keep all of them together small.
limit_request_field_size = limit_request_line
limit_request_fields = 64
# What was sent along with a request that is refused, as when its token is, is read past to take the next request from
# behind it: gunicorn does so for five seconds at most, and for as much as could have been taken.
parser._DRAIN_MAX_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE + 1
control_socket_disable = True

# Several processes count in files, which whichever of them is asked for /metrics adds up. These are mapped into memory,
# where a write for which the disk has no room ends the process: so they are not on the disk of the data.
# The library looks for the folder when it is imported, so it is named before the application is loaded.
_given = Config()
_workers_given = _given.parser().parse_known_args(_given.get_cmd_args_from_env())[0].workers
if (_workers_given or workers) > 1:
    _memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  (the folder in it is only ours)
    _own = f"precedent-counts-{os.getpid()}-"
    # This is read again when the settings are, and what was counted goes on counting.
    if not Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).name.startswith(_own):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_own, dir=_memory)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def when_ready(server: Any) -> None:
    """The worker processes share what is loaded; its collector would write on every page of it and so make copies."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    from django.conf import settings

    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from kb import tracing

        tracing.start()


def pre_request(worker: Any, req: Any) -> None:
    """A longer body, or one of unknown length, is the last thing on its connection, and the answer says so: a client
    that was promised more would send its next request into a connection that is being closed."""
    headers = dict(req.headers)
    if "TRANSFER-ENCODING" in headers or int(headers.get("CONTENT-LENGTH", 0)) > DATA_UPLOAD_MAX_MEMORY_SIZE:
        req.force_close()


def child_exit(server: Any, worker: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
