"""`worker`: no signal cuts a request that creates a task."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import Clipbell, eventually
from support.serving import QuietHandler, Served

from service.bootstrap import Wiring, build
from service.settings import load_settings

pytestmark = pytest.mark.timeout(120)


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


@pytest.fixture
def vendor() -> Iterator[SlowVendor]:
    """The vendor, at its origin."""
    with SlowVendor() as made:
        yield made


@pytest.fixture
def clipbell(vendor: SlowVendor, tmp_path: Path) -> Iterator[Clipbell]:
    """A service over it, with nothing running."""
    with Clipbell(tmp_path, vendor.origin) as made:
        yield made


@pytest.fixture
def wiring(clipbell: Clipbell) -> Iterator[Wiring]:
    """The same service, to look into its rows."""
    made = build(load_settings(clipbell.environ))
    yield made
    made.close()


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.mark.parametrize("numbers", [(TERM,), (INT,), (HUP,), (INT, INT), (HUP, TERM, INT)])
def test_signal_during_a_create(
    clipbell: Clipbell, vendor: SlowVendor, numbers: tuple[signal.Signals, ...]
) -> None:
    """However often it is told to stop, the worker writes down the answer first, then ends."""
    model = ("submit", "kling-2-5-turbo-pro", "--prompt", "A fox", "--json")
    job = json.loads(clipbell.run(*model).stdout)
    clipbell.start_worker()
    eventually(vendor.asked.is_set)
    for number in numbers:
        os.killpg(clipbell.pid("worker"), number)
    eventually(lambda: "stopping" in clipbell.log("worker"))
    running = not clipbell.ended("worker")
    vendor.gate.set()
    code = clipbell.stop("worker")
    shown = json.loads(clipbell.run("show", job["id"], "--json").stdout)

    assert (True, 0) == (running, code), clipbell.log("worker")
    assert ("submitted", "task1") == (shown["state"], shown["task_id"])
