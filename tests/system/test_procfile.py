"""The Procfile: one command starts everything, one signal ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.servers import Clipbell, eventually, http_call

REPOSITORY = Path(__file__).parents[2]


def is_ready(url: str) -> bool:
    """Whether jobs would be worked on."""
    try:
        return 200 == http_call("GET", f"{url}/readyz").status
    except OSError:
        return False


def is_alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_honcho(tmp_path: Path) -> None:
    """On an empty folder honcho migrates, serves and works, and SIGTERM leaves nothing behind."""
    clipbell = Clipbell(tmp_path, "http://127.0.0.1:9", secret_keys="k" * 40)
    path = f"{Path(sys.executable).parent}{os.pathsep}{clipbell.environ['PATH']}"
    environ = clipbell.environ | {"PORT": str(clipbell.port), "PATH": path}
    with (tmp_path / "honcho.log").open("wb") as log:
        honcho = subprocess.Popen(
            [sys.executable, "-m", "honcho", "-f", str(REPOSITORY / "Procfile"), "start"],
            cwd=REPOSITORY,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        ready = eventually(lambda: is_ready(clipbell.url), seconds=20)
    finally:
        children = _children(honcho.pid)
        honcho.terminate()
        honcho.wait(30)
        left = [child for child in children if is_alive(child)]
        for child in left:
            os.killpg(child, signal.SIGKILL)

    told = (tmp_path / "honcho.log").read_text()
    assert (True, 3, []) == (ready, len(children), left), told
    assert "Traceback" not in told


def _children(pid: int) -> list[int]:
    """The processes that one started; honcho makes each the head of a group."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
