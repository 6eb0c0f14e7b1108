"""
The distributed engine: ``celery -A service.engines.celery worker`` with options of your own.

Beside the pool each worker has one more process (`service.engines.upkeep`) with
the beat that sends the hints, the heartbeat and the maintenance. It is a process
and no thread because the worker's own process forks the pool, and nothing may
hold a connection or a lock across a fork.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from celery import Celery, bootsteps, signals
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer
from kombu.transport import virtual

from service.bootstrap import SHARED_KINDS, build
from service.engines.hints import (
    KINDS,
    TASK,
    Publisher,
    celery_settings,
    queue_name,
)
from service.engines.places import Places
from service.errors import BrokerUnavailable, ClipbellError, SettingsError
from service.ops.logs import TroubleLog, configure
from service.ops.startup import await_schema
from service.ops.upkeep import BEAT_SECONDS, prepare_process
from service.settings import Settings, load_settings
from service.slots import Slots

log = logging.getLogger(__name__)

#: The seconds for which one hint is processed; then a hint of another kind may be next.
WORK_SECONDS = 1.0
#: The seconds after which a pool process ends that gets SIGTERM while it works.
LINGER_SECONDS = 1.0
#: The seconds after which the process beside the pool is restarted if it dies.
RESTART_SECONDS = 1.0
STOP_SECONDS = 20.0


def _settings() -> Settings:
    """The settings of a worker; if they are invalid, print one line and exit."""
    try:
        settings = load_settings()
        if settings.engine != "celery":
            raise SettingsError("a Celery worker needs CLIPBELL_ENGINE=celery")
        build(settings).close()
    except ClipbellError as error:
        raise SystemExit(f"clipbell: {error}") from None
    return settings


app = Celery("clipbell")
app.add_defaults(lambda: celery_settings(_settings()))


class HintConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer, without queues for delayed messages, which we do not use."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The parts of the consumer."""

        default_steps = tuple(
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        )

    def connect(self) -> Any:
        """
        A connection that requeues no hint when it is lost.

        A requeued hint is useless, and with a dead Redis the attempt would end the worker.
        """
        connection = super().connect()
        if isinstance(connection.default_channel, virtual.Channel):
            connection.default_channel.do_restore = False
        return connection


class PoolProcess:
    """The resources of a pool process; created at its first hint, so after any fork."""

    def __init__(self) -> None:
        self.wiring = build(load_settings())
        try:
            with self.wiring.db.write() as tx:
                prepare_process(self.wiring, tx)
        except ClipbellError:
            self.wiring.close()
            raise
        self._units = self.wiring.units(dict.fromkeys(SHARED_KINDS, _slots))
        self._publisher = Publisher(app)
        self._followed_at = time.monotonic()

    def work(self, kind: str) -> None:
        """
        Process due rows of this kind, for a while.

        The first success sends a hint for the next slot, as in the embedded engine: so
        the pool fills only as far as there is work.
        """
        self._follow_clock()
        until = time.monotonic() + WORK_SECONDS
        more = self._units[kind]()
        if more:
            self._call_next(kind)
        while more and time.monotonic() < until and not _end.asked:
            more = self._units[kind]()

    def _call_next(self, kind: str) -> None:
        try:
            self._publisher.send([kind])
        except BrokerUnavailable as error:
            _troubles.tell("the beat has to call the next", error)

    def _follow_clock(self) -> None:
        if time.monotonic() - self._followed_at > BEAT_SECONDS:
            with self.wiring.db.read() as tx:
                self.wiring.clock.follow(tx)
            self._followed_at = time.monotonic()

    def close(self) -> None:
        """Release all its resources."""
        self._publisher.close()
        self.wiring.close()


_troubles = TroubleLog(log)
_process: PoolProcess | None = None
_process_lock = threading.Lock()
#: Created before any fork.
_places = Places()
#: The slots of a pool of threads; a process of another pool runs one unit at a time.
_slots = Slots()


class PoolEnd:
    """
    The end of a pool process after SIGTERM: it first finishes its current unit.

    Supervisors send the signal to the whole group, and a create must not be interrupted.
    """

    def __init__(self) -> None:
        self.asked = False
        #: Whether this is such a process, and its signals are still those of Celery.
        self.to_guard = False
        self._busy: set[int] = set()
        self._end_now: Callable[[int, FrameType | None], Any] = lambda *_: sys.exit()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """While this thread works, the end of the process waits."""
        self._guard()
        self._busy.add(threading.get_ident())
        try:
            yield
        finally:
            self._busy.discard(threading.get_ident())
            if self.asked:
                # In this time the worker learns that the hint is done.
                signal.setitimer(signal.ITIMER_REAL, LINGER_SECONDS)

    def _guard(self) -> None:
        """Set the signal handlers at the first hint, since Celery sets its own before that."""
        if self.to_guard:
            self.to_guard = False
            before = signal.signal(signal.SIGTERM, self._ask)
            self._end_now = before if callable(before) else self._end_now
            signal.signal(signal.SIGHUP, self._ask)
            signal.signal(signal.SIGALRM, self._ask)

    def _ask(self, _: int, frame: FrameType | None) -> None:
        """End now, or after the current unit. A signal handler: it takes no lock."""
        if self._busy:
            self.asked = True
            if _process is not None:
                _process.wiring.db.stop_retrying()
            return
        self._end_now(signal.SIGTERM, frame)


_end = PoolEnd()


def _this_process() -> PoolProcess:
    global _process
    with _process_lock:
        if _process is None:
            _process = PoolProcess()
        return _process


@app.task(name=TASK)  # type: ignore[untyped-decorator]
def work(kind: str) -> None:
    """The Celery task: process this kind of work."""
    try:
        with _end.held_up(), _places.taken(kind) as has_place:
            if has_place:
                _this_process().work(kind)
    except Exception as error:
        _troubles.tell(f"{kind} failed; the row comes up again when its lease ends", error)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    """Use our logging instead of Celery's, which writes two lines for each hint."""
    configure(load_settings().log_format)
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _expect_end(**_: Any) -> None:
    _end.to_guard = True


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _close_process(**_: Any) -> None:
    if _process is not None:
        _process.close()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close_worker(**_: Any) -> None:
    # With a pool of threads, the worker's own process does the work.
    _close_process()
    _places.close()


class Upkeep(bootsteps.StartStopStep):  # type: ignore[misc]
    """The process beside the pool: the beat, the heartbeat, the maintenance."""

    #: The signals, besides SIGTERM, that end the worker after its current units.
    warm_signals: tuple[signal.Signals, ...] = ()

    def __init__(self, worker: Any, autoscale: Any = None, **options: Any) -> None:
        super().__init__(worker, **options)
        await_schema(_settings())
        kinds = {kind for kind in KINDS if queue_name(kind) in app.amqp.queues.consume_from}
        concurrency = max(autoscale or [worker.concurrency])
        _places.share_out(concurrency, kinds)
        _slots.count = concurrency
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="upkeep", daemon=True)

    def start(self, worker: Any) -> None:
        """Start it, and restart it whenever it dies."""
        for number in self.warm_signals:
            signal.signal(number, _stop_warmly)
        self._watcher.start()

    def _watch(self) -> None:
        command = [sys.executable, "-m", "service.engines.upkeep", str(os.getpid())]
        while not self._stopping.is_set():
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            if code := self._child.wait():
                log.error("the upkeep ended with %d, and is started again", code)
            self._stopping.wait(RESTART_SECONDS)

    def stop(self, worker: Any) -> None:
        """Stop it."""
        self._stopping.set()
        if self._child is not None:
            self._child.terminate()
        self._watcher.join(STOP_SECONDS)

    def terminate(self, worker: Any) -> None:
        """Stop it, however the worker ends."""
        self.stop(worker)


app.steps["worker"].add(Upkeep)


def _stop_warmly(*_: object) -> None:
    worker_state.should_stop = 0


def run_worker(threads: int) -> int:
    """Run a worker for all kinds with this many threads, until a signal; returns its exit code."""
    # Celery's own worker treats a second Ctrl-C, and SIGHUP, differently.
    Upkeep.warm_signals = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    # Workers need no messages between each other: the database has all state.
    quiet = ("--without-gossip", "--without-mingle")
    argv = ["--quiet", "worker", "--pool", "threads", "--concurrency", str(threads), *quiet]
    return int(app.start(argv) or 0)
