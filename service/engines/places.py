"""The limit of places in a pool for long kinds of work."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

#: The long kinds: creates that last as long as the generation, copies, slow endpoints.
LONG_KINDS = ("generate", "archive", "deliver_slow")


class Places:
    """
    A quarter of the pool for each of the long kinds, so that the others never wait for them.

    A place is a file, and its holder has the lock on it: so it is counted across the threads
    and processes of a pool, and is free again when its process is killed.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._limits: dict[str, int] = {}

    def share_out(self, concurrency: int, kinds: Collection[str]) -> None:
        """
        Set the limits, before any fork. A worker with only long kinds needs none.

        Args:
            concurrency: the number of hints that the pool processes at once.
            kinds: the kinds of the worker.
        """
        if not set(kinds) <= set(LONG_KINDS):
            self._folder = tempfile.TemporaryDirectory(prefix="clipbell-places-")
            self._limits = dict.fromkeys(LONG_KINDS, max(1, concurrency // 4))

    def close(self) -> None:
        """Remove the files, in the process that created them."""
        if self._folder is not None:
            self._folder.cleanup()

    @contextmanager
    def taken(self, kind: str) -> Iterator[bool]:
        """Hold a place for this kind; yields False if none is free."""
        if kind not in self._limits or self._folder is None:
            yield True
            return
        for number in range(self._limits[kind]):
            with Path(self._folder.name, f"{kind}-{number}").open("ab") as place:
                try:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield True
                return
        yield False
