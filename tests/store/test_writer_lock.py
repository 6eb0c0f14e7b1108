"""The writers' lock: one at a time in all processes, and no wait without an end."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers import eventually

from service.errors import DatabaseUnavailable
from service.store.writer_lock import WriterLock

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert "held\n" == holder.stdout.readline()
        yield holder


def is_free(path: Path) -> bool:
    """Whether nobody holds it."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_held_and_given_back(tmp_path: Path) -> None:
    """Inside the block it is ours, after it nobody's; the time that is left is reported."""
    path = tmp_path / "lock"
    with WriterLock(str(path)).held(5) as left:
        held = not is_free(path)

    assert held
    assert 4 < left <= 5
    assert is_free(path)


@pytest.mark.parametrize("stopped", [False, True])
def test_held_by_another_process(tmp_path: Path, stopped: bool) -> None:
    """The wait ends, whether the holder works or is frozen; once it ends, the lock is ours."""
    path = tmp_path / "lock"
    lock = WriterLock(str(path))
    with other_process(path) as holder:
        if stopped:
            holder.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="another process"), lock.held(0.3):
            pass
        waited = time.monotonic() - began
        holder.send_signal(signal.SIGKILL)
    with lock.held(5):
        pass

    assert 0.3 <= waited < 3


def test_who_gave_up_keeps_nothing(tmp_path: Path) -> None:
    """A lock that comes after its waiter has gone is given back at once."""
    path = tmp_path / "lock"
    lock = WriterLock(str(path))
    with other_process(path) as holder:
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable), lock.held(0.1):
                pass
        assert holder.stdin
        holder.stdin.close()
        holder.wait(20)
        eventually(lambda: is_free(path), 5)


def test_comes_while_waiting(tmp_path: Path) -> None:
    """Who waits gets it as soon as the other process is done."""
    path = tmp_path / "lock"
    got = threading.Event()

    def wait() -> None:
        with WriterLock(str(path)).held(20):
            got.set()

    with other_process(path) as holder:
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert holder.stdin
        holder.stdin.close()
        waiting.join(20)

    assert got.is_set()


def test_held_by_a_thread(tmp_path: Path) -> None:
    """The same within a process."""
    lock = WriterLock(str(tmp_path / "lock"))
    troubles: list[str] = []

    def wait() -> None:
        try:
            with lock.held(0.1):
                pass
        except DatabaseUnavailable as error:
            troubles.append(error.reason)

    with lock.held(1):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(5)
    with lock.held(1):
        pass

    assert 1 == len(troubles)


def test_no_place_for_it(tmp_path: Path) -> None:
    """A folder that is gone is the database's trouble, and leaves the lock usable."""
    lock = WriterLock(str(tmp_path / "gone" / "lock"))
    with pytest.raises(DatabaseUnavailable, match="No such file"), lock.held(1):
        pass
    (tmp_path / "gone").mkdir()
    with lock.held(1):
        pass


def test_no_file_is_left_open(tmp_path: Path) -> None:
    """A thousand turns leave no descriptor of the lock's file behind."""
    path = tmp_path / "lock"
    lock = WriterLock(str(path))

    def opened() -> int:
        # Others of this process come and go: what earlier tests have left is closed some time.
        return sum(os.path.realpath(one.path) == str(path) for one in os.scandir("/proc/self/fd"))

    with lock.held(1):
        during = opened()
    for _ in range(1000):
        with lock.held(1):
            pass

    assert (1, 0) == (during, opened())
