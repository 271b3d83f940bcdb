"""How gunicorn serves the pages and REST; it reads this file by itself. GUNICORN_CMD_ARGS adds to what stands here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

_host, _port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "gthread"
workers = 2
threads = 4
timeout = 60
preload_app = True
# A search may be long, as a pasted log line is.
limit_request_line = 8190
control_socket_disable = True

# Each process counts in files of its own, which whichever process is asked for /metrics adds up. The library looks for
# the folder when it is imported, so it is named before the application is loaded.
_counts = Path(os.environ.get("VAR_DIR") or Path(__file__).parent / "var") / "metrics"
shutil.rmtree(_counts, ignore_errors=True)
_counts.mkdir(parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
