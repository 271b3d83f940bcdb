"""Prepares the database, then runs web, worker and beat until asked to stop.

With --check it only checks whether the folder and the address are usable. Exit code 0 means that it was asked to stop.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from place import ROOT, Place, fail


def main() -> int:
    # While there is nothing to stop yet, Ctrl-C ends this process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    place = Place.from_environment()
    with place.lock() as lock:
        if "--check" in sys.argv[1:]:
            return 0
        place.write_process_id(lock)
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
        fail(f"preparing {place.var} failed with exit code {code}; see above.")
    ended: dict[str, int] = {}
    if not supervisor.asked:
        threading.Thread(target=announce, args=[place], daemon=True).start()
        ended = supervisor.run_all((ROOT / "Procfile").read_text())
    for name, code in ended.items():
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited by itself with code {code}"
        print(f"run: {name} {how}, so everything was stopped.", file=sys.stderr, flush=True)
    if not ended:
        print("run: stopped.", flush=True)
    return 1 if ended else 0


def announce(place: Place) -> None:
    """Print the address that people open once something answers on this machine."""
    # A proxy for outside traffic must not be used for this machine.
    opener = build_opener(ProxyHandler({}))
    opened = os.environ.get("BASE_URL") or place.address
    # Any other host name may be refused.
    request = Request(f"{place.address}/healthz", headers={"Host": urlsplit(opened).netloc})  # noqa: S310  (our own address)
    while True:
        try:
            opener.open(request, timeout=5).close()
        except HTTPError as error:
            print(f"Precedent answers on {place.address}, but /healthz returns {error.code}.", flush=True)
            return
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            print(f"Precedent is ready: {opened}  (press Ctrl-C to stop)", flush=True)
            return


if __name__ == "__main__":
    sys.exit(main())
