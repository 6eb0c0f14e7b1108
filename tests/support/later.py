"""
`clipbell worker` with a clock that runs ahead: ``python -m support.later SECONDS``.

A dead worker's rows come up again when their leases end, minutes later. The
clock is an argument of the product, so the next worker simply lives later. On
PostgreSQL, whose clock all workers follow, the rows are dated back instead.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, DateTime, delete, func, type_coerce, update

from service.bootstrap import build
from service.engines.worker import run_worker
from service.model import utc_now
from service.ops.logs import configure
from service.settings import load_settings
from service.store.schema import callbacks, deliveries, jobs, videos, workers

THREADS = 16
DATES = (
    *(jobs.c.due_at, callbacks.c.due_at, videos.c.due_at),
    *(deliveries.c.due_at, deliveries.c.leased_until),
)


def date_back(tx: Connection, seconds: float) -> None:
    """Everything that waits is due so much earlier; no worker has been seen."""
    for column in DATES:
        moment: ColumnElement[Any] = type_coerce(column, DateTime(timezone=True))
        moment -= timedelta(seconds=seconds)
        if tx.dialect.name == "sqlite":
            # Its dates are texts.
            moment = func.strftime("%Y-%m-%d %H:%M:%f000", column, f"-{seconds} seconds")
        earlier = {column.name: moment}
        tx.execute(update(column.table).where(column.is_not(None)).values(earlier))
    tx.execute(delete(workers))


def main(seconds: float) -> None:
    """Work until SIGTERM, so many seconds ahead of everybody else."""

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=seconds)

    settings = load_settings()
    configure(settings.log_format)
    wiring = build(settings, clock)
    if not wiring.db.is_sqlite:
        wiring.db.write_with_retry(lambda tx: date_back(tx, seconds))
    run_worker(wiring, THREADS)
    wiring.close()


if __name__ == "__main__":
    main(float(sys.argv[1]))
