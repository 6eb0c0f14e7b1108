"""The vendor's limits hold for a batch that goes through real processes."""

from __future__ import annotations

import pytest

from bench.batch import Batch, most_at_once, most_within, run
from bench.deployment import Vendor


@pytest.mark.postgresql
@pytest.mark.slow
def test_limits_of_a_batch(database: str) -> None:
    """Two workers together ask a vendor for no more than it allows, a minute and at once."""
    # The vendor's minute is six seconds. Without limits all 90 would go out in three.
    vendor = Vendor(create_seconds=0.1, task_seconds=1.5)
    batch = Batch(90, 60, 12, 10.0, vendor, database, workers=2)
    figures = run(batch)

    assert 90 == figures["creates"]
    assert not batch.is_over(figures), figures


def test_most_within() -> None:
    """The fullest stretch counts, wherever it begins; what comes a whole stretch later does not."""
    assert 3 == most_within([0.0, 5.0, 6.0, 14.9, 15.0], 10.0)
    assert 0 == most_within([], 10.0)


def test_most_at_once() -> None:
    """A task that begins as another ends does not overlap it."""
    assert 2 == most_at_once([(0.0, 2.0), (1.0, 3.0), (3.0, 4.0)])
