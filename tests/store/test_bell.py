"""The bell: what becomes due is heard in other processes at once, and nobody depends on it."""

from __future__ import annotations

import os
import queue
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.harness import Harness
from support.servers import eventually

from service.store.bell import SocketBell
from service.store.database import Database
from service.store.work import call_for


class Ear:
    """Keeps what it hears; `free` is its answer."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.free = True

    def __call__(self, kind: str) -> bool:
        self.heard.put(kind)
        return self.free


@pytest.fixture
def other(database_url: str) -> Iterator[Database]:
    """The same database, as another process has it."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.mark.postgresql
def test_other_process_hears(harness: Harness, other: Database) -> None:
    """A new job is heard elsewhere; whoever begins to listen may miss what came before."""
    ear = Ear()
    other.listen(ear)
    eventually(lambda: harness.new_job() and not ear.heard.empty())

    assert "submit" == ear.heard.get(timeout=5)


@pytest.mark.postgresql
def test_own_threads_come_first(harness: Harness, other: Database) -> None:
    """While a slot is free here nobody else is called; without one, the others are."""
    here, there = Ear(), Ear()
    other.listen(there)
    eventually(lambda: harness.new_job() and not there.heard.empty())
    harness.db.listen(here)
    harness.new_job()

    assert {"submit", "generate"} == {here.heard.get(timeout=5) for _ in range(2)}
    here.free = False
    while not there.heard.empty():
        there.heard.get()
    harness.new_job()
    assert "submit" == there.heard.get(timeout=5)


@pytest.mark.postgresql
def test_one_listener_hears(harness: Harness, other: Database, database_url: str) -> None:
    """However many listen, a row calls one of them, and not always the same."""
    third = Database(database_url)
    ears = [Ear(), Ear()]
    for database, ear in zip((other, third), ears, strict=True):
        database.listen(ear)
    eventually(lambda: harness.new_job() and not any(ear.heard.empty() for ear in ears))
    heard_of(ears, harness)
    heard = Counter[str]()
    for _ in range(10):
        # A few at a time: a socket holds ten hints.
        harness.new_job()
        harness.new_job()
        heard.update(heard_of(ears, harness))
    third.close()

    assert {"submit": 20, "generate": 20, "last": 10} == heard


def heard_of(ears: list[Ear], harness: Harness) -> list[str]:
    """All that has been heard until now: a last call is rung, and nothing follows it."""
    heard = list[str]()

    def is_over() -> bool:
        before = len(heard)
        heard.extend(ear.heard.get() for ear in ears for _ in range(ear.heard.qsize()))
        return "last" in heard and before == len(heard)

    with harness.db.write() as tx:
        call_for(tx, "last")
    eventually(is_over)
    return heard


def test_rolled_back_is_not_due(harness: Harness) -> None:
    """What a failed transaction wrote calls nobody, now or later."""
    ear = Ear()
    harness.db.listen(ear)
    with pytest.raises(ZeroDivisionError), harness.db.write() as tx:
        call_for(tx, "submit")
        raise ZeroDivisionError
    with harness.db.write():
        pass

    assert ear.heard.empty()


def test_dead_listener(tmp_path: Path) -> None:
    """The socket of a process that was killed is removed, and the others still hear."""
    folder = tmp_path / ("a" * 100) / "bells"
    bell, heard = SocketBell(folder), queue.Queue[tuple[str, int]]()
    bell.listen(lambda kind, count: heard.put((kind, count)))
    number = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(f"/proc/self/fd/{number}/dead")
    os.close(number)
    other = SocketBell(folder)
    for _ in range(50):
        other.ring({"archive": 3})
        assert ("archive", 3) == heard.get(timeout=5)

    assert 1 == len(list(folder.iterdir()))
    bell.close()
    assert [] == list(folder.iterdir())


def test_own_listener(tmp_path: Path) -> None:
    """Who rings does not hear it: its own threads were called before."""
    bell, other = SocketBell(tmp_path), SocketBell(tmp_path)
    here, there = queue.Queue[str](), queue.Queue[str]()
    bell.listen(lambda kind, _: here.put(kind))
    other.listen(lambda kind, _: there.put(kind))
    heard = list[str]()
    for _ in range(20):
        bell.ring({"archive": 1})
        heard.append(there.get(timeout=5))
    bell.close()
    other.close()

    assert ["archive"] * 20 == heard
    assert here.empty()
