"""A program that answers HTTP while it is measured, and how one is started."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Program:
    """Answers each request with 200, in one event loop; it does as little as can be done."""

    port = 0

    async def serve(self) -> None:
        """Print the port, and answer until the process is ended."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        print(self.port, flush=True)
        await server.serve_forever()

    async def answer(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        """Content type and body."""
        raise NotImplementedError

    async def _connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                method, path, _ = head.decode("latin-1").split(" ", 2)
                kind, answer = await self.answer(method, path, body)
                status = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                writer.write(f"{status}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def running(module: str, *arguments: str) -> Iterator[int]:
    """The port that ``python -m MODULE ARGUMENT …`` prints; it is killed at the end."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
