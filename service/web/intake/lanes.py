"""
Threads for each kind of request, so that none waits for the threads of another kind.

The process must answer however busy its threads are: while a
database is stuck, each of them may wait for it. And a lost callback
costs a video, so callbacks wait neither for slow downloads nor
for requests that will be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from typing import Any


class Lane(Enum):
    """A kind of request; the value is the share of the threads, 0 for one thread alone."""

    HEALTH = "health"
    #: Callbacks with a valid token.
    CALLBACKS = "callbacks"
    #: Requests that their head alone refuses.
    REFUSALS = "refusals"
    #: Downloads of videos, which may be slow.
    FILES = "files"
    #: Requests with bodies of many megabytes.
    UPLOADS = "uploads"
    REQUESTS = "requests"


ONE_THREAD = (Lane.HEALTH, Lane.REFUSALS)
#: The most requests that may wait for a thread; more are answered 503.
QUEUE_LENGTH = 100


class Lanes:
    """A thread pool per lane, each with a short queue; threads start when they are needed."""

    def __init__(self, threads: int) -> None:
        self._limit = {lane: 1 if lane in ONE_THREAD else threads for lane in Lane}
        self._pools = {
            lane: ThreadPoolExecutor(count, lane.value) for lane, count in self._limit.items()
        }
        self._taken: Counter[Lane] = Counter()

    def is_full(self, lane: Lane) -> bool:
        """Whether the lane's queue is full."""
        return self._taken[lane] >= self._limit[lane] + QUEUE_LENGTH

    def submit(self, lane: Lane, handle: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call `handle` in a thread of the lane; only the worker's own loop calls this."""
        self._taken[lane] += 1
        return self._pools[lane].submit(handle, *args)

    def release(self, lane: Lane) -> None:
        """Note that a call has ended; only the worker's own loop calls this."""
        self._taken[lane] -= 1

    def shutdown(self, wait: bool = True) -> None:
        """Shut down all pools."""
        for pool in self._pools.values():
            pool.shutdown(wait)
