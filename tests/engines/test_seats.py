"""Seats of a pool: kinds that last long leave room for the others, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from service.engines.hints import KINDS
from service.engines.seats import LONG_KINDS, Seats

Maker = Callable[..., Seats]


@pytest.fixture
def shared_out() -> Iterator[Maker]:
    """Makes the seats of a worker with so large a pool, for these kinds."""
    with ExitStack() as closing:

        def make(concurrency: int, *kinds: str) -> Seats:
            seats = Seats()
            seats.share_out(concurrency, kinds)
            closing.callback(seats.close)
            return seats

        yield make


def free(seats: Seats, kind: str) -> int:
    """How many of up to fifty seats a kind gets at once."""
    with ExitStack() as held:
        return sum(held.enter_context(seats.taken(kind)) for _ in range(50))


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (3, 1), (8, 2), (24, 6)])
def test_long_kinds_get_a_quarter(shared_out: Maker, concurrency: int, expected: int) -> None:
    """A quarter of the pool for each, at least one; the others get all."""
    seats = shared_out(concurrency, *KINDS)

    assert [expected] * len(LONG_KINDS) == [free(seats, kind) for kind in LONG_KINDS]
    assert 50 == free(seats, "submit")


def test_one_long_kind_leaves_the_others_theirs(shared_out: Maker) -> None:
    """Copies that fill their seats take none of the endpoints that time out."""
    seats = shared_out(4, *KINDS)
    with seats.taken("archive"):
        assert (0, 1) == (free(seats, "archive"), free(seats, "deliver_slow"))


def test_worker_for_long_kinds(shared_out: Maker) -> None:
    """A worker that takes nothing else may fill its pool with them."""
    assert 50 == free(shared_out(4, "generate", "archive"), "generate")


def test_seat_of_a_killed_process(shared_out: Maker) -> None:
    """Whoever is killed in a seat gives it back."""
    seats = shared_out(4, *KINDS)
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with seats.taken("generate"):
            os.write(tell, b"x")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    held = free(seats, "generate")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(tell)

    assert (0, 1) == (held, free(seats, "generate"))
