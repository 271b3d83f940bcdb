"""A TCP proxy that can delay responses: `python -m chaos.proxy PORT TARGET_PORT`.

Each line on its standard input is a number of seconds by which it delays everything the server sends from then on.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


class Proxy:
    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            server, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            back.close()
            return
        ways = [
            asyncio.create_task(self._pass(client, forth)),
            asyncio.create_task(self._pass(server, back, slow=True)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (forth, back):
            end.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slow: bool = False) -> None:
        with suppress(OSError):
            while chunk := await source.read(65_536):
                if slow and self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(chunk)
                await sink.drain()

    async def obey(self) -> None:
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        async for line in lines:
            self.delay = float(line)


async def main(port: int, target: int) -> None:
    """Serve until standard input ends, so that the proxy does not outlive the process that started it."""
    proxy = Proxy(target)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", port):
        await proxy.obey()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
