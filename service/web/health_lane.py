"""
gunicorn's threads, and one more that answers only ``/healthz``.

Whether the process answers at all must not depend on how busy its threads are:
while a database is stuck, each of them may be waiting for it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

PEEK_BYTES = 4096
#: So long the system keeps a connection to itself on which nothing has been said yet.
SILENT_SECONDS = 1


class Lanes:
    """
    Threads for requests, and the one that they never keep waiting.

    Args:
        prefix: the path that the service is served below; blank for none.
    """

    def __init__(self, threads: int, prefix: str) -> None:
        path = f"({re.escape(prefix)})?/healthz"
        # A whole request, so that nobody can keep the thread waiting for the rest of one.
        self._healthz_request = re.compile(f"(GET|HEAD) {path} HTTP/.*\r\n\r\n".encode(), re.DOTALL)
        self._requests = ThreadPoolExecutor(threads)
        self._healthz = ThreadPoolExecutor(1)

    def submit(self, handle: Callable[[TConn], Any], connection: TConn) -> Future[Any]:
        """Handle the request that stands on the connection."""
        lane = self._healthz if self._asks_for_health(connection.sock) else self._requests
        return lane.submit(handle, connection)

    def shutdown(self, wait: bool = True) -> None:
        """Both end."""
        self._requests.shutdown(wait)
        self._healthz.shutdown(wait)

    def _asks_for_health(self, sock: socket.socket) -> bool:
        try:
            seen = sock.recv(PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        return bool(self._healthz_request.match(seen))


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with these threads; made by `worker_below`."""

    prefix = ""

    def init_process(self) -> None:
        """A connection is accepted once it can be seen what it wants."""
        for listener in self.sockets:
            # Linux has it; elsewhere a request is seen too late now and then.
            if listener.FAMILY != socket.AF_UNIX and hasattr(socket, "TCP_DEFER_ACCEPT"):
                option = socket.TCP_DEFER_ACCEPT
                listener.setsockopt(socket.IPPROTO_TCP, option, SILENT_SECONDS)
        super().init_process()

    def get_thread_pool(self) -> Lanes:
        """Instead of gunicorn's own."""
        return Lanes(self.cfg.threads, self.prefix)


def worker_below(prefix: str) -> type[Worker]:
    """The worker of a service that is served below that path."""
    return type("Worker", (Worker,), {"prefix": prefix})
