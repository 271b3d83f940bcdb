"""Prepares the database and keeps web, worker and beat running until it is told to stop.

With --check it only looks whether that could work. Exit code 0 means that somebody asked for the end.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from place import ROOT, Place, fail


def main() -> int:
    # Until there is something to stop, Ctrl-C simply ends this, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    place = Place.from_environment()
    with place.claim() as lock:
        if "--check" in sys.argv[1:]:
            return 0
        place.sign(lock)
        return serve(place)


def serve(place: Place) -> int:
    from supervisor import Supervisor  # --check runs before honcho is installed

    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "VAR_DIR": str(place.var),
        "HOST": place.host,
        "PORT": str(place.port),
    }
    supervisor = Supervisor(ROOT, env)
    code = supervisor.run_once(sys.executable, "manage.py", "prepare")
    if code and not supervisor.asked:
        fail(f"the preparation of {place.var} failed with exit code {code}; see above.")
    ended: dict[str, int] = {}
    if not supervisor.asked:
        threading.Thread(target=announce, args=[place], daemon=True).start()
        ended = supervisor.run_all((ROOT / "Procfile").read_text())
    for name, code in ended.items():
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended by itself with exit code {code}"
        print(f"run: {name} {how}, so everything was stopped.", file=sys.stderr, flush=True)
    if not ended:
        print("run: stopped.", flush=True)
    return 1 if ended else 0


def announce(place: Place) -> None:
    """Said only when it is true: some answer has come from the address."""
    # A proxy for the outside world must not be asked about this machine.
    opener = build_opener(ProxyHandler({}))
    while True:
        try:
            opener.open(f"{place.address}/healthz", timeout=5).close()
        except HTTPError as error:
            print(f"Precedent answers on {place.address}, but /healthz says {error.code}.", flush=True)
            return
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            print(f"Precedent is ready: {place.address}  (Ctrl-C stops it)", flush=True)
            return


if __name__ == "__main__":
    sys.exit(main())
