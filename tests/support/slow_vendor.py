"""A vendor that keeps a create waiting until the test lets it go."""

from __future__ import annotations

import json
import threading

from support.serving import QuietHandler, Served


class SlowVendor(Served):
    """APIXO, which answers a create only once `gate` is open."""

    def __init__(self) -> None:
        vendor = self
        self.gate, self.asked = threading.Event(), threading.Event()

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                vendor.asked.set()
                vendor.gate.wait(30)
                body = json.dumps({"code": 200, "message": "", "data": {"taskId": "task1"}})
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

        self.serve(Handler)

    def release(self) -> None:
        """Answer those that still wait."""
        self.gate.set()
