"""
An endpoint that notes when a hook comes, and answers 200 after a while.

``python -m bench.peers.sink LATENCY_SECONDS`` prints its port. A process of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.servers import http_call

from bench.deployment import TESTS

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Sink:
    """Every hook's moment (monotonic seconds), with the number in its JSON if there is one."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._hooks: list[tuple[float, int | None]] = []

    async def serve(self) -> None:
        """Until the process is ended."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                answer = await self._answer(head.split(b" ", 2)[1], body)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: bytes, body: bytes) -> bytes:
        if path == b"/count":
            return b"%d" % len(self._hooks)
        if path == b"/take":
            hooks, self._hooks = self._hooks, []
            return json.dumps(hooks).encode()
        data: dict[str, Any] = json.loads(body)
        self._hooks.append((time.monotonic(), data.get("data", data).get("number")))
        await asyncio.sleep(self._latency)
        return b"{}"


class SinkProcess:
    """A sink, running."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def count(self) -> int:
        """How many hooks have come since the last `take`."""
        return int(http_call("GET", f"{self.url}/count").body)

    def take(self) -> list[tuple[float, int | None]]:
        """Moment and number of each, in their order; they are forgotten."""
        return [tuple(hook) for hook in http_call("GET", f"{self.url}/take", seconds=60).json()]


@contextmanager
def running_sink(latency: float = 0.0) -> Iterator[SinkProcess]:
    """A sink of its own process."""
    command = [sys.executable, "-m", "bench.peers.sink", str(latency)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield SinkProcess(int(process.stdout.readline()))
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(Sink(float(sys.argv[1])).serve())
