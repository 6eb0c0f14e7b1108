"""The embedded engine: work is found, one unit's trouble is its own, and stop means stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from support.servers import eventually

from service.engines.threads import ThreadEngine

TICK = 0.01


@contextmanager
def running(
    units: Mapping[str, Callable[[], bool]], due: Callable[[], set[str]], threads: int = 2
) -> Iterator[ThreadEngine]:
    """An engine at work in a thread; stopped and joined at the end."""
    engine = ThreadEngine(units, due, dict.fromkeys(units, threads), tick=TICK)
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        yield engine
    finally:
        engine.stop()
        thread.join(10)
    assert not thread.is_alive()


class Pile:
    """Work of one kind: a heap of items, each done once."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = 0
        self._lock = threading.Lock()

    def unit(self) -> bool:
        """Do one item."""
        with self._lock:
            if not self.left:
                return False
            self.left -= 1
            self.done += 1
            return True


def test_everything_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """Piles of several kinds are worked off to the last item."""
    piles = {kind: Pile(count) for kind, count in (("a", 200), ("b", 1), ("c", 0))}
    units = {kind: pile.unit for kind, pile in piles.items()}
    with running(units, lambda: {kind for kind, pile in piles.items() if pile.left}):
        eventually(lambda: not any(pile.left for pile in piles.values()), 5)

    assert [200, 1, 0] == [pile.done for pile in piles.values()]
    assert [] == caplog.records


def test_one_success_calls_for_more_hands() -> None:
    """Two items that need each other are done at the same time, by two threads."""
    meeting, pile, met = threading.Barrier(2), Pile(2), list[int]()

    def unit() -> bool:
        if not pile.unit():
            return False
        met.append(meeting.wait(5))
        return True

    with running({"a": unit}, lambda: {"a"} if pile.left else set()):
        eventually(lambda: len(met) == 2, 5)


def test_a_row_is_one_look() -> None:
    """Who is called for a row that became due does not look for a second one."""
    pile, looks = Pile(0), list[bool]()

    def unit() -> bool:
        looks.append(pile.unit())
        return looks[-1]

    with running({"a": unit}, set) as engine:
        for _ in range(3):
            pile.left = 1
            engine.call("a")
            eventually(lambda: pile.left == 0, 5)

    assert [True] * 3 == looks


def test_what_was_blocked_is_looked_for_again() -> None:
    """A row that had to wait for another one's end is done after it, without a tick."""
    gate, begun, done = threading.Event(), list[int](), list[str]()

    def unit() -> bool:
        if begun and not gate.is_set():
            done.append("nothing may be done now")
            return False
        if len(begun) == 2:
            return False
        begun.append(1)
        gate.wait(5)
        done.append("done")
        return True

    with running({"a": unit}, set) as engine:
        engine.call("a")
        eventually(lambda: begun, 5)
        engine.call("a")
        eventually(lambda: done, 5)
        gate.set()
        eventually(lambda: done.count("done") == 2, 5)


def test_trouble_of_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    """A unit that always raises is logged, and the other kinds go on."""
    pile = Pile(100)

    def broken() -> bool:
        raise RuntimeError("broken")

    with running({"a": broken, "b": pile.unit}, lambda: {"a", "b"}):
        eventually(lambda: pile.done == 100 and caplog.records, 5)

    assert {"a"} == {record.getMessage().split()[0] for record in caplog.records}


def test_unit_is_tried_again_after_trouble() -> None:
    """Trouble that passes leaves no kind without hands."""
    tries: list[int] = []

    def unit() -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("once")
        return False

    with running({"a": unit}, lambda: {"a"} if len(tries) < 2 else set(), threads=1):
        eventually(lambda: len(tries) >= 2, 5)


def test_database_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """Not knowing what is due is no reason to end: the question is asked again."""
    pile, asked = Pile(1), []

    def due() -> set[str]:
        asked.append(1)
        if len(asked) == 1:
            raise OSError("away")
        return {"a"}

    with running({"a": pile.unit}, due):
        eventually(lambda: pile.done, 5)

    assert 1 == len(caplog.records)


def test_stop_lets_a_unit_end() -> None:
    """What is under way when the end comes is finished; nothing new is begun."""
    gate, begun, ended = threading.Event(), list[int](), list[int]()

    def unit() -> bool:
        begun.append(1)
        gate.wait(5)
        ended.append(1)
        return True

    with running({"a": unit}, lambda: {"a"}, threads=1) as engine:
        eventually(lambda: begun, 5)
        engine.stop()
        gate.set()

    assert (1, 1) == (len(begun), len(ended))


def test_stop_does_not_wait_for_ever() -> None:
    """A unit that takes too long is left, and it is said; those that must not be cut are not."""
    gate, begun = threading.Event(), list[str]()

    def unit(kind: str) -> bool:
        begun.append(kind)
        gate.wait(10)
        return False

    units = {kind: partial(unit, kind) for kind in ("a", "b")}
    threads = dict.fromkeys(units, 1)
    engines = [
        ThreadEngine(units, lambda: {"a", "b"}, threads, never_cut, TICK, grace_seconds=0.05)
        for never_cut in ((), ("a", "b"))
    ]
    with ThreadPoolExecutor() as pool:
        left, waits = [pool.submit(engine.run) for engine in engines]
        eventually(lambda: len(begun) == 4, 5)
        for engine in engines:
            engine.stop()
        assert not left.result(5)
        assert not waits.done()
        gate.set()
        assert waits.result(5)


def test_stop_before_there_was_work() -> None:
    """An idle engine ends at once."""
    with running({"a": lambda: False}, set) as engine:
        engine.stop()


def test_calls_do_not_pile_up() -> None:
    """Asking a hundred times for hands that are busy is one question when they are free."""
    gate, begun, asked = threading.Event(), list[int](), list[int]()

    def unit() -> bool:
        begun.append(1)
        gate.wait(10)
        return False

    def due() -> set[str]:
        asked.append(1)
        return set() if gate.is_set() else {"a"}

    with running({"a": unit}, due, threads=1):
        eventually(lambda: len(asked) > 60, 10)
        gate.set()
        before = len(asked)
        eventually(lambda: len(asked) > before + 20, 10)

    assert len(begun) <= 5
