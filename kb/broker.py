"""The embedded mode's broker: kombu's filesystem transport, made safe for processes that use the folder concurrently.

kombu creates a message file under its final name before writing its content. A worker that reads it in between stops.
A full disk stops none of the processes.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from kb.folders import folder_lock


class Channel(filesystem.Channel):
    # The base classes use different names for the second parameter.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        # Messages are read in the order of their file names, so the name begins with the time.
        message = Path(self.data_folder_out, f"{monotonic() * 1000:.0f}_{uuid.uuid4()}.{queue}.msg")
        unfinished = message.with_suffix(".part")
        try:
            unfinished.write_text(dumps(payload))
            unfinished.rename(message)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise ChannelError(f"Cannot add {message}") from error

    def _get(self, queue: str, timeout: Any = None) -> Any:
        """The oldest message. Raises Empty, also for a file that is not a message, such as a power failure can leave,
        and removes it.

        kombu moves each message through the system's temporary folder, and a worker stops if that has no room.
        """
        for name in sorted(os.listdir(self.data_folder_in)):
            message = Path(self.data_folder_in, name)
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = message.with_suffix(".taken")
            try:
                message.rename(taken)
            except FileNotFoundError:
                # Another process has taken it.
                continue
            text = taken.read_bytes()
            taken.unlink()
            try:
                return loads(text)
            except ValueError as error:
                raise Empty from error
        raise Empty

    def _queue_bind(self, *args: Any) -> None:
        # Every process writes the routing table when it starts.
        with folder_lock(self.control_folder):
            super()._queue_bind(*args)

    def get_table(self, exchange: str) -> Any:
        with folder_lock(self.control_folder):
            return super().get_table(exchange)


class Transport(filesystem.Transport):
    Channel = Channel
