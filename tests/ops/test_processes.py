"""Processes of ours end together, whenever the signal to stop comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.servers import eventually

#: Gets the signal right after the child is forked, while it is still being started.
INTERRUPTED = """
import os, sys
from service.ops.processes import Processes, interrupt_on_signals

def interrupt(frame, event, called):
    if event == "c_return" and called.__name__ == "fork_exec":
        sys.setprofile(None)
        os.kill(os.getpid(), int(sys.argv[1]))

interrupt_on_signals()
try:
    with Processes(os.environ) as processes:
        sys.setprofile(interrupt)
        processes.start("sandbox", "--port", "0")
        print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def running(mark: str) -> list[str]:
    """The processes that have this variable."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{mark}\0".encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupted_while_a_process_starts(tmp_path: Path, name: str) -> None:
    """The process that is just being started is stopped too."""
    variable = {"STARTED_BY": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(signal.Signals[name]))],
        env=os.environ | variable,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    eventually(lambda: not running(f"STARTED_BY={tmp_path}"))

    assert ("interrupted\n", 0) == (done.stdout, done.returncode), done.stderr
