"""
`clipbell worker` with a clock that runs ahead: ``python -m chaos.later SECONDS``.

A dead worker's rows come up again when their leases end, minutes later. The
clock is an argument of the product, so the next worker simply lives later.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from service.bootstrap import build
from service.model import utc_now
from service.ops.logs import configure
from service.settings import load_settings
from service.worker import run_worker

THREADS = 16


def main(seconds: float) -> None:
    """Work until SIGTERM, so many seconds ahead of everybody else."""

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=seconds)

    settings = load_settings()
    configure(settings.log_format)
    wiring = build(settings, clock)
    run_worker(wiring, THREADS)
    wiring.close()


if __name__ == "__main__":
    main(float(sys.argv[1]))
