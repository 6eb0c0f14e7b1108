"""
The process beside a Celery worker's pool: ``python -m service.engines.upkeep PID``.

It sends the hints, stores the worker's heartbeat, and does the maintenance, each as
a thread. It ends after SIGTERM, or when the worker with this PID has gone.
"""

from __future__ import annotations

import os
import signal
import sys

from service.bootstrap import build
from service.engines.celery import app
from service.engines.hints import Beat, Publisher
from service.ops.logs import configure
from service.ops.upkeep import Heartbeat, Maintenance, prepare_host
from service.settings import load_settings

LOOK_SECONDS = 1.0


def main(worker: int) -> None:
    """Run until SIGTERM or the end of the worker, the parent of this process."""
    # The whole process group gets these signals: the worker decides when this process ends.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    settings = load_settings()
    configure(settings.log_format)
    wiring = build(settings)
    prepare_host(wiring)
    # From now on the signal is awaited; threads inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    publisher = Publisher(app)
    beat = Beat(wiring, publisher)
    beat.listen()
    beside = (beat, Heartbeat(wiring), Maintenance(wiring))
    for thread in beside:
        thread.start()
    while os.getppid() == worker and not signal.sigtimedwait({signal.SIGTERM}, LOOK_SECONDS):
        pass
    wiring.db.stop_retrying()
    for thread in beside:
        thread.stop()
    publisher.close()
    wiring.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
