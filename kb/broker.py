"""The embedded mode's broker: kombu's folder of files, for processes that write and read it at the same moment.

kombu gives a file its name before its content, and reads what it finds. A reader that came in between ended its worker.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

from kb.folders import alone_in


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
        # Who sends to whom is written by every process when it starts.
        with alone_in(self.control_folder):
            super()._queue_bind(*args)

    def get_table(self, exchange: str) -> Any:
        with alone_in(self.control_folder):
            return super().get_table(exchange)


class Transport(filesystem.Transport):
    Channel = Channel
