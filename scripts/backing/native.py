"""A service as a native process on this machine."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from . import places
from .daemon import Daemon
from .trouble import Trouble


class Native(ABC):
    """Subclasses say how to install, configure and stop a service; everything else is here."""

    name: str
    ready_seconds = 60.0
    stop_seconds = 20.0
    stop_signal = signal.SIGTERM

    def __init__(self, port: int, healthy: Callable[[], str]) -> None:
        self.port = port
        self._healthy = healthy
        self.account = places.account()
        self.folder = places.home(self.name, self.account)
        self.daemon = Daemon(self.name, self.folder)

    @abstractmethod
    def install(self) -> None:
        """Install the programs if they are missing."""

    @abstractmethod
    def configure(self) -> None:
        """Write the configuration that the process reads at startup; keep existing data."""

    @abstractmethod
    def command(self) -> list[str]: ...

    def env(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}

    def cwd(self) -> Path:
        return self.folder

    def up(self) -> None:
        if self.daemon.pid() is None:
            if not self._healthy():
                raise Trouble(
                    f"Another server is already running on port {self.port}, which {self.name} needs; "
                    f"stop it, or choose another port with PRECEDENT_{self.name.upper()}_PORT."
                )
            self.install()
            self.configure()
            self.daemon.start(self.command(), env=self.env(), cwd=self.cwd(), account=self.account)
        self._wait()

    def stop(self) -> bool:
        return self.daemon.stop(self.stop_signal, seconds=self.stop_seconds)

    def kill(self) -> bool:
        return self.daemon.kill()

    def running(self) -> bool:
        return self.daemon.pid() is not None

    def logs(self, lines: int, follow: bool) -> None:
        if follow:
            self.daemon.follow(lines)
        print(self.daemon.tail(lines))

    def _wait(self) -> None:
        limit = time.monotonic() + self.ready_seconds
        while reason := self._healthy():
            if self.daemon.pid() is None:
                raise Trouble(f"{self.name} exited during startup; see {self.daemon.log}", self.daemon.tail(15))
            if time.monotonic() > limit:
                patience = f"{self.ready_seconds:.0f} s"
                raise Trouble(
                    f"{self.name} is not ready after {patience} ({reason}); see {self.daemon.log}",
                    self.daemon.tail(15),
                )
            time.sleep(0.1)
