"""
A worker with other limits of the vendor, and a clock of another speed.

``python -m bench.limited PER_MINUTE AT_ONCE SPEED``. At speed 10 its minute is six seconds.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

from service.bootstrap import Wiring, build
from service.catalogue.entries import Limits
from service.engines.worker import run_worker
from service.model import utc_now
from service.ops.logs import configure
from service.providers.apixo import Apixo
from service.settings import load_settings

THREADS = 120


def main(per_minute: float, at_once: int, speed: float) -> None:
    """Work until SIGTERM."""
    began, start = utc_now(), time.monotonic()

    def clock() -> datetime:
        return began + timedelta(seconds=speed * (time.monotonic() - start))

    settings = load_settings()
    configure(settings.log_format)
    wiring = build(settings, clock, follow_database=speed == 1)
    run_worker(with_limits(wiring, Limits(per_minute, at_once)), THREADS)
    wiring.close()


def with_limits(wiring: Wiring, given: Limits) -> Wiring:
    """The same, with an APIXO that allows that much."""

    class Limited(Apixo):
        limits = given

    own = wiring.providers["apixo"]
    assert isinstance(own, Apixo)
    return replace(wiring, providers={**wiring.providers, "apixo": Limited(own.access)})


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
