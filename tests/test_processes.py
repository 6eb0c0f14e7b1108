"""The fork server: no process outlives the tests that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.servers import eventually

TESTS = Path(__file__).parent
#: Starts a sandbox, says its process id, and waits to be killed.
TEST_RUN = """
import os, signal, sys, threading
from pathlib import Path
from support.processes import Process
# A run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
out = Path(sys.argv[1])
print(Process("service", ["sandbox", "--port", "0"], os.environ, out, out).pid, flush=True)
threading.Event().wait()
"""


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left(tmp_path: Path, how: signal.Signals) -> None:
    """Whether a run is killed or interrupted as by Ctrl-C, its processes end with it."""
    run = subprocess.Popen(
        [sys.executable, "-c", TEST_RUN, str(tmp_path / "out")],
        cwd=TESTS.parent,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert run.stdout
    pid = int(run.stdout.readline())
    was_running = is_running(pid)
    os.killpg(run.pid, how)
    run.communicate(timeout=20)
    eventually(lambda: not is_running(pid))

    assert was_running
