"""One time for all machines that share a database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from service.model import Clock


class SharedClock:
    """
    The clock of a process: its machine's, or after `follow` the database's.

    Several machines, whose clocks may differ, write and check leases. So
    each takes PostgreSQL's time, and continues from there with its own monotonic
    clock. SQLite is used by one machine and needs none of this.

    `offset` is the time by which the machine's clock is behind the database's. A clock that does
    not follow is the given clock, whatever the database says.
    """

    def __init__(self, clock: Clock, follows: bool = True) -> None:
        self._clock = clock
        self._follows = follows
        self._anchor: tuple[datetime, float] | None = None
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        if self._anchor is None:
            return self._clock()
        moment, at = self._anchor
        return moment + timedelta(seconds=time.monotonic() - at)

    def follow(self, tx: Connection) -> None:
        """Use the database's time from now on; no effect on SQLite."""
        if not self._follows or tx.dialect.name != "postgresql":
            return
        began = time.monotonic()
        found: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
        ended = time.monotonic()
        middle = (began + ended) / 2
        self._anchor = (found.astimezone(UTC), middle)
        self.offset = found - (self._clock() - timedelta(seconds=ended - middle))
