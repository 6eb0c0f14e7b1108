"""The Procfile: one command starts everything, one signal ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers import Clipbell, eventually, http_call

from service import store
from service.model import utc_now
from service.ops.health import WORKER_SILENCE
from service.store.database import Database

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


@contextmanager
def honcho(clipbell: Clipbell, *names: str, **environ: str) -> Iterator[list[int]]:
    """`honcho start`, as a person runs it; yields its processes once the service is ready."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{clipbell.environ['PATH']}"
    log = clipbell.folder / "honcho.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "honcho", "-f", str(REPOSITORY / "Procfile"), "start", *names],
            cwd=REPOSITORY,
            env=clipbell.environ | {"PORT": str(clipbell.port), "PATH": path} | environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    children: list[int] = []
    try:
        eventually(lambda: is_ready(clipbell.url), seconds=20)
        children = _children(running.pid)
        yield children
    except AssertionError as error:
        error.add_note(log.read_text())
        raise
    finally:
        children = children or _children(running.pid)
        running.terminate()
        running.wait(30)
        for child in filter(is_alive, children):
            os.killpg(child, signal.SIGKILL)


def test_honcho(tmp_path: Path) -> None:
    """On an empty folder honcho migrates, serves and works, and SIGTERM leaves nothing behind."""
    clipbell = Clipbell(tmp_path, "http://127.0.0.1:9", secret_keys="k" * 40)
    with honcho(clipbell) as children:
        listening = addresses_of(clipbell.port)
    left = [child for child in children if is_alive(child)]

    assert (3, []) == (len(children), left)
    assert ["0.0.0.0"] == listening  # noqa: S104
    assert "Traceback" not in (tmp_path / "honcho.log").read_text()


@pytest.mark.postgresql
def test_database_of_the_platform(tmp_path: Path, database_url: str) -> None:
    """The rows go to the DATABASE_URL that a platform sets, in the form in which it writes it."""
    clipbell = Clipbell(tmp_path, "http://127.0.0.1:9", secret_keys="k" * 40)
    given = database_url.replace("postgresql://", "postgres://")
    with honcho(clipbell, "web", "worker", DATABASE_URL=given):
        database = Database(database_url)
        with database.read() as tx:
            workers = store.counts.workers_since(tx, utc_now() - WORKER_SILENCE)
        database.close()

    assert 1 == workers


def addresses_of(port: int) -> list[str]:
    """The IPv4 addresses at which anybody listens on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    found = re.findall(rf"^ *\d+: (\w{{8}}):{port:04X} \S+ 0A", "\n".join(lines), re.MULTILINE)
    return [".".join(str(byte) for byte in reversed(bytes.fromhex(one))) for one in found]


def _children(pid: int) -> list[int]:
    """The processes that one started; honcho makes each the head of a group."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
