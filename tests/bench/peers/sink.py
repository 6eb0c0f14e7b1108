"""
An endpoint that notes when a hook comes, and answers 200 after a while.

``python -m bench.peers.sink LATENCY_SECONDS`` prints its port. A process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.servers import http_call

from bench.program import Program, running

_JSON = "application/json"


class Sink(Program):
    """Every hook's moment (monotonic seconds), with the number in its JSON if there is one."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._hooks: list[tuple[float, int | None]] = []

    async def answer(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        """See `Program`."""
        if path == "/count":
            return _JSON, b"%d" % len(self._hooks)
        if path == "/take":
            hooks, self._hooks = self._hooks, []
            return _JSON, json.dumps(hooks).encode()
        data: dict[str, Any] = json.loads(body)
        self._hooks.append((time.monotonic(), data.get("data", data).get("number")))
        await asyncio.sleep(self._latency)
        return _JSON, b"{}"


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
    with running("bench.peers.sink", str(latency)) as port:
        yield SinkProcess(port)


if __name__ == "__main__":
    asyncio.run(Sink(float(sys.argv[1])).serve())
