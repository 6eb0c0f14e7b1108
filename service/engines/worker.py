"""The worker process: the engine with our units, a heartbeat, a clean stop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping

from service.bootstrap import SHARED_KINDS, Wiring
from service.engines.threads import ThreadEngine
from service.ops.upkeep import Heartbeat, Maintenance, prepare_host
from service.slots import Slots, with_spare

log = logging.getLogger(__name__)

#: The shares of threads of the kinds of work, by their waiting times; at least one thread each.
#: The kinds that accounts share get a third more, for others than the busiest account.
#: Together they keep a vendor's 1,000 slots full: 22 jobs a second at 45 s each.
THREAD_WEIGHTS = {
    # A create takes about a second; rows enforce the vendor's own limits.
    "submit": 32,
    # As long as the generation.
    "generate": 16,
    # One request to the vendor.
    "process": 16,
    # Sixteen requests each.
    "poll": 2,
    # A lookup of a create without an answer.
    "reconcile": 4,
    # A download and the disk. A copy needs 64 KiB of memory, and one decoder serves all.
    "archive": 29,
    "remove": 1,
    # Slow endpoints get a quarter of the threads for deliveries.
    "deliver": 15,
    "deliver_slow": 5,
    # One: only one sequencer can work at a time anyway.
    "number": 0,
}
#: The kinds that pay: an interrupted request would make its job unknown.
CREATES = ("submit", "generate")


def threads_per_kind(threads: int) -> dict[str, int]:
    """The number of threads of each kind; kinds shared by accounts get additional ones."""
    whole = sum(THREAD_WEIGHTS.values())
    per_kind = {kind: max(1, threads * share // whole) for kind, share in THREAD_WEIGHTS.items()}
    return per_kind | {kind: with_spare(per_kind[kind]) for kind in SHARED_KINDS}


def make_engine(wiring: Wiring, per_kind: Mapping[str, int]) -> ThreadEngine:
    """An engine for all units with these threads, in which no account gets all slots of a kind."""
    slots = {kind: Slots(per_kind[kind]) for kind in SHARED_KINDS}
    return ThreadEngine(wiring.units(slots), wiring.due, per_kind, never_cut=CREATES)


def run_worker(wiring: Wiring, threads: int) -> bool:
    """
    Work until SIGTERM, SIGINT or SIGHUP, however often they come.

    The answer to a create is always received and stored before this returns,
    within the provider's time limit. Everything else can be repeated, and gets 20 s.

    Returns:
        False if a unit still runs: the process must then exit without closing the wiring.
    """
    prepare_host(wiring)
    per_kind = threads_per_kind(threads)
    engine = make_engine(wiring, per_kind)
    wiring.db.listen(engine.call)

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
