"""The embedded mode's broker: kombu's folder of files, for processes that write and read it at the same moment.

kombu gives a file its name before its content, and reads what it finds. A reader that came in between ended its worker.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    # Its bases call the second parameter differently.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        # By their names they are read in the order in which they were written.
        message = Path(self.data_folder_out, f"{monotonic() * 1000:.0f}_{uuid.uuid4()}.{queue}.msg")
        unfinished = message.with_suffix(".part")
        try:
            unfinished.write_text(dumps(payload))
            unfinished.rename(message)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise ChannelError(f"Cannot add {message}") from error

    def _get(self, queue: str, timeout: Any = None) -> Any:
        """Raises Empty also for what is no message, as a machine that lost power may leave it: it is taken away."""
        try:
            return super()._get(queue)
        except ValueError as error:
            raise Empty from error

    def _queue_bind(self, *args: Any) -> None:
        with self._tables():
            super()._queue_bind(*args)

    def get_table(self, exchange: str) -> Any:
        with self._tables():
            return super().get_table(exchange)

    @contextmanager
    def _tables(self) -> Iterator[None]:
        """One at a time: who sends to whom is written by every process when it starts."""
        folder = os.open(self.control_folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


class Transport(filesystem.Transport):
    Channel = Channel
