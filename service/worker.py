"""The worker process: the engine with our units in it, a heartbeat, clean ends."""

from __future__ import annotations

import logging
import signal

from service.bootstrap import Wiring
from service.engines.threads import ThreadEngine
from service.ops.upkeep import Heartbeat, Maintenance, prepare_host

log = logging.getLogger(__name__)

#: How the threads are shared out over the kinds of work; each gets one at least.
THREAD_WEIGHTS = {
    "submit": 2,
    "generate": 2,
    "process": 2,
    "poll": 1,
    "reconcile": 1,
    "archive": 1,
    "remove": 0,
    # Endpoints that time out keep to a quarter of the threads for deliveries.
    "deliver": 6,
    "deliver_slow": 2,
    # One: only one sequencer can work at a time anyway.
    "number": 0,
}
#: The kinds that pay: a request cut short would leave its job unknown.
CREATES = ("submit", "generate")


def run_worker(wiring: Wiring, threads: int) -> bool:
    """
    Work until SIGTERM, SIGINT or SIGHUP, however often they come.

    A request that creates a task is always answered and written down before this returns,
    within the provider's time limit. Everything else can be done again, and gets 20 s.

    Returns:
        False when something was left running: the process must end without closing the wiring.
    """
    prepare_host(wiring)
    whole = sum(THREAD_WEIGHTS.values())
    per_kind = {kind: max(1, threads * share // whole) for kind, share in THREAD_WEIGHTS.items()}
    engine = ThreadEngine(wiring.units(), wiring.due, per_kind, never_cut=CREATES)

    def stop(*_: object) -> None:
        wiring.db.stop_retrying()
        engine.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    beside = (Heartbeat(wiring), Maintenance(wiring))
    for thread in beside:
        thread.start()
    log.info("worker started", extra={"threads": per_kind})
    ended = engine.run()
    for thread in beside:
        thread.stop()
    log.info("worker stopped" if ended else "worker stopped; what it left will be done again")
    return ended
