"""Places of a pool: kinds that last long leave room for the others, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from service.engines.hints import KINDS
from service.engines.places import LONG_KINDS, Places

Maker = Callable[..., Places]


@pytest.fixture
def shared_out() -> Iterator[Maker]:
    """Makes the places of a worker with so large a pool, for these kinds."""
    with ExitStack() as closing:

        def make(concurrency: int, *kinds: str) -> Places:
            places = Places()
            places.share_out(concurrency, kinds)
            closing.callback(places.close)
            return places

        yield make


def free(places: Places, kind: str) -> int:
    """How many of up to fifty places a kind gets at once."""
    with ExitStack() as held:
        return sum(held.enter_context(places.taken(kind)) for _ in range(50))


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (3, 1), (8, 2), (24, 6)])
def test_long_kinds_get_a_quarter(shared_out: Maker, concurrency: int, expected: int) -> None:
    """A quarter of the pool for each, at least one; the others get all."""
    places = shared_out(concurrency, *KINDS)

    assert [expected] * len(LONG_KINDS) == [free(places, kind) for kind in LONG_KINDS]
    assert 50 == free(places, "submit")


def test_one_long_kind_leaves_the_others_theirs(shared_out: Maker) -> None:
    """Copies that fill their places take none of the endpoints that time out."""
    places = shared_out(4, *KINDS)
    with places.taken("archive"):
        assert (0, 1) == (free(places, "archive"), free(places, "deliver_slow"))


def test_worker_for_long_kinds(shared_out: Maker) -> None:
    """A worker that takes nothing else may fill its pool with them."""
    assert 50 == free(shared_out(4, "generate", "archive"), "generate")


def test_place_of_a_killed_process(shared_out: Maker) -> None:
    """Whoever is killed in a place gives it back."""
    places = shared_out(4, *KINDS)
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with places.taken("generate"):
            os.write(tell, b"x")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    held = free(places, "generate")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(tell)

    assert (0, 1) == (held, free(places, "generate"))
