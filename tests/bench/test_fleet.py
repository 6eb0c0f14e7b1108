"""The fleet's figures: what of them says that something is full."""

from __future__ import annotations

import pytest

from bench.fleet import what_is_full


@pytest.mark.parametrize(
    ("busy", "waiting", "full"),
    [(0.95, 0.2, "cores"), (0.95, 3.0, "cores"), (0.6, 3.0, "database"), (0.6, 0.2, "neither")],
)
def test_what_is_full(busy: float, waiting: float, full: str) -> None:
    """The cores come first: sessions wait longer for anything where there are none free."""
    assert full == what_is_full({"cores busy": busy, "sessions waiting": waiting})
