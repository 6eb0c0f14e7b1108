"""Rows at an even rate, for the programs in the peers' environment."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable


def produce(commit: Callable[[int], None], rate: float, first: int, count: int) -> None:
    """Commit so many numbered rows; print when (monotonic seconds) each was committed."""
    began, pause = time.monotonic(), threading.Event()
    committed = {}
    for number in range(first, first + count):
        pause.wait(max(0.0, began + (number - first) / rate - time.monotonic()))
        commit(number)
        committed[number] = time.monotonic()
    print(json.dumps(committed))
