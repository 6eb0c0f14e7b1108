"""Python programs in processes of their own, started by one fork server per test process."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
#: No verb of the command line takes longer than this.
VERB_SECONDS = 60
_one_at_a_time = threading.Lock()


class Process:
    """`python -m MODULE ARGUMENT …`, running; the methods are those of `subprocess.Popen`."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        out: Path,
        err: Path,
        seconds: int = 0,
    ) -> None:
        order: dict[str, Any] = {
            "module": module,
            "arguments": list(arguments),
            "environ": dict(environ),
        }
        order |= {"out": str(out), "err": str(err), "seconds": seconds}
        self.pid = _ask(order)
        self._exit = os.pidfd_open(self.pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._reap(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired after so many seconds."""
        code = self._reap(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._exit, number)

    def terminate(self) -> None:
        """Send SIGTERM, unless the process has ended."""
        self.send_signal(signal.SIGTERM)

    def _reap(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._exit], [], [], seconds)[0]:
            self.returncode = _ask({"exited": self.pid})
            os.close(self._exit)
        return self.returncode


def lines_of(file: Path) -> list[str]:
    """The whole lines that a process has written so far."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def children_of(pid: int) -> list[int]:
    """The processes that one has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


def run_verb(
    arguments: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one verb of the command line to its end, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        code = Process("service", arguments, environ, out, err, VERB_SECONDS).wait()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _ask(order: dict[str, Any]) -> int:
    server = _server()
    assert server.stdin and server.stdout
    with _one_at_a_time:
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "support.fork_server"],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server
