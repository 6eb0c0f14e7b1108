"""The receiver and its neighbours under hostile requests; see `hostile`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile.campaign import Figures, run
from hostile.coverage import one_input
from hostile.mutations import KINDS


def check(figures: Figures, count: int) -> None:
    """Every promise held, and every kind was sent."""
    print(figures)

    assert [] == figures.broken
    assert count == sum(sum(counter.values()) for counter in figures.statuses.values())
    assert KINDS.keys() == {kind for kind, counter in figures.statuses.items() if counter}


@given(st.binary(max_size=200) | st.sampled_from([b"GET / HTTP/1.1\r\n\r\n", b"\xff.\xff"]))
def test_target_of_the_fuzzer(data: bytes) -> None:
    """What atheris aims at takes any bytes; see `hostile.coverage`."""
    one_input(data)


def test_hostile_requests(tmp_path: Path) -> None:
    """By a fixed seed: no 5xx, no state changed, cheap refusals, flat memory."""
    check(run(tmp_path, 500, seed=1), 500)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_thousand_hostile_requests(tmp_path: Path) -> None:
    """The same for 10,000 of them; `python -m hostile` sends 100,000."""
    check(run(tmp_path, 10_000, seed=2), 10_000)
