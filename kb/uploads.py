"""What happens to uploaded files: no view accepts any."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class NoFiles(FileUploadHandler):
    """Stops reading a body at its first file. Without a handler, Django would read the body into memory as a whole,
    however large it is, and before it knows who sent it."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called, because no file is begun."""

    def file_complete(self, file_size: int) -> None:
        """Never called, because no file is begun."""
