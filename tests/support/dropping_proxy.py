"""A proxy that loses answers, as networks do."""

from __future__ import annotations

import http.server
import socket
import threading

from support.servers import http_call
from support.serving import QuietHandler, Served

HOP_BY_HOP = ("connection", "transfer-encoding", "host", "content-length", "keep-alive")


class DroppingProxy(Served):
    """
    Passes requests on to `upstream`; to the first try of a create it loses the answer.

    A first try is a POST whose client counts its retries and has none yet.
    """

    def __init__(self, upstream: str) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
                answer = http_call("POST", upstream + self.path, body, headers, 60)
                if self.headers["x-stainless-retry-count"] == "0":
                    proxy.drop(self)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        self.serve(Handler)

    def drop(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Break the connection off instead of answering."""
        with self._lock:
            self.dropped += 1
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
