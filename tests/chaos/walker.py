"""
A worker on a lead, as a fork server: ``python -m chaos.walker FILE``.

Each line on stdin, ``KIND SECONDS``, forks a child that runs one unit of that
kind by the real wiring, whose clock stands still at that Unix time. The child's
exit code (0: there was something to do, 3: nothing, -9: it was killed) is
answered on stdout. Forked from a process that has imported everything, a child
is there in milliseconds.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from chaos.fault_injection import FaultInjector
from service.bootstrap import build
from service.ops.logs import configure
from service.settings import load_settings

NOTHING = 3


def main(injector: FaultInjector) -> None:
    """Serve until stdin ends."""
    settings = load_settings()
    configure(settings.log_format)
    injector.install(settings.data_dir)
    moment = datetime.now(UTC)
    # Before the forks, since it opens nothing: each child makes its own connections.
    units = build(settings, lambda: moment).units()
    for line in sys.stdin:
        kind, seconds = line.split()
        moment = datetime.fromtimestamp(float(seconds), UTC)
        child = os.fork()
        if child == 0:
            os._exit(0 if units[kind]() else NOTHING)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(FaultInjector(Path(sys.argv[1])))
