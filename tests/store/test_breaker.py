"""The circuit breaker: after one long wait nobody else waits, until the database answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from support.servers import eventually

from service.errors import DatabaseUnavailable
from service.store.breaker import SLOW_SECONDS, Breaker

AWAY = OperationalError("SELECT 1", {}, Exception("no answer"))


class Answer:
    """A database that answers once it is allowed to."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.asked = 0

    def probe(self) -> None:
        """One question."""
        self.asked += 1
        if not self.there.is_set():
            raise AWAY


@pytest.fixture
def answer() -> Answer:
    """It is away."""
    return Answer()


@pytest.fixture
def breaker(answer: Answer) -> Iterator[Breaker]:
    """A breaker over it."""
    made = Breaker(answer.probe)
    yield made
    made.close()


def fail(breaker: Breaker, seconds: float) -> None:
    """A transaction that ends so after some time."""
    with pytest.raises(DatabaseUnavailable, match="no answer"), breaker.guarded():
        threading.Event().wait(seconds)
        raise AWAY


def is_open(breaker: Breaker) -> bool:
    """Whether a transaction is refused without being tried."""
    try:
        with breaker.guarded():
            return False
    except DatabaseUnavailable:
        return True


def test_slow_failure(breaker: Breaker, answer: Answer) -> None:
    """After one that took long all others are refused at once, until the database answers."""
    fail(breaker, SLOW_SECONDS)
    refused = is_open(breaker)
    answer.there.set()
    eventually(lambda: not is_open(breaker), 5)

    assert refused
    assert answer.asked > 0


def test_quick_failure(breaker: Breaker, answer: Answer) -> None:
    """One that took no time keeps no thread: the next one is tried."""
    fail(breaker, 0)

    assert not is_open(breaker)
    assert 0 == answer.asked


def test_others_have_answers(breaker: Breaker, answer: Answer) -> None:
    """A lock that only some wait for is no reason to refuse the others."""
    failing = threading.Thread(target=fail, args=(breaker, SLOW_SECONDS))
    failing.start()
    eventually(failing.is_alive)
    with breaker.guarded():
        pass
    failing.join()

    assert not is_open(breaker)


def test_own_errors(breaker: Breaker) -> None:
    """Errors that are not the database's pass as they are."""
    wrong = IntegrityError("INSERT", {}, Exception("unique"))
    with pytest.raises(IntegrityError), breaker.guarded():
        raise wrong
    with pytest.raises(ZeroDivisionError), breaker.guarded():
        _ = 1 / 0


def test_probe_that_breaks(answer: Answer) -> None:
    """Whatever the probe raises, it goes on."""
    broken = [ZeroDivisionError()]

    def probe() -> None:
        if broken:
            raise broken.pop()

    breaker = Breaker(probe)
    fail(breaker, SLOW_SECONDS)
    eventually(lambda: not is_open(breaker), 5)
    breaker.close()

    assert [] == broken
