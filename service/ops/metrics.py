"""
Metrics for a monitoring system, in Prometheus' text format.

They are counted from the rows at each request, not in processes: every web process
reports the same, and a restart loses nothing. They contain no account and no spending.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from service import __version__, store
from service.ops.health import WORKER_SILENCE, polled_share

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

Row = tuple[tuple[str, ...], float]


def exposition(tx: Connection, now: datetime) -> bytes:
    """All gauges and counters as text."""
    return generate_latest(_Rows(tx, now))


class _Rows(Collector):
    """A collector that counts the rows in this transaction."""

    def __init__(self, tx: Connection, now: datetime) -> None:
        self._tx, self._now = tx, now

    def collect(self) -> Iterator[Metric]:
        """Yield all families of metrics."""
        yield _gauge("build_info", "The running version.", ("version",), [((__version__,), 1)])
        yield from self._things()
        yield from self._work()
        yield from self._outside()

    def _things(self) -> Iterator[Metric]:
        tx = self._tx
        jobs = [((p, s), n) for p, s, n in store.counts.jobs_by_state(tx)]
        yield _gauge("jobs", "Jobs, by provider and state.", ("provider", "state"), jobs)
        sent = [((c, s), n) for c, s, n in store.counts.deliveries_by_state(tx)]
        yield _gauge(
            "deliveries", "Stored deliveries, by channel and state.", ("channel", "state"), sent
        )
        callbacks = _by_name(store.counts.callbacks_by_state(tx))
        yield _gauge("callbacks", "Stored callbacks, by state.", ("state",), callbacks)
        videos = _by_name(store.counts.videos_by_state(tx))
        yield _gauge("videos", "Videos, by state of our copy.", ("state",), videos)

    def _work(self) -> Iterator[Metric]:
        due = store.counts.due(self._tx, self._now)
        counts = [((one.kind,), one.count) for one in due]
        yield _gauge("work_due", "Units of work that are due.", ("kind",), counts)
        waits = [((d.kind,), (self._now - d.oldest).total_seconds()) for d in due if d.oldest]
        help_ = "The wait of the most overdue unit, in seconds."
        yield _gauge("work_overdue_seconds", help_, ("kind",), waits)
        alive = store.counts.workers_since(self._tx, self._now - WORKER_SILENCE)
        yield _gauge("workers", "Running workers.", (), [((), alive)])
        quarantined = len(store.quarantine.rows(self._tx))
        yield _gauge("rows_set_aside", "Quarantined rows.", (), [((), quarantined)])

    def _outside(self) -> Iterator[Metric]:
        held = _by_name(store.counts.held_providers(self._tx))
        yield _gauge("provider_held", "Whether the provider is held.", ("provider",), held)
        share = polled_share(self._tx)
        help_ = "Share of recent results found by polling where a callback was expected."
        yield _gauge("polled_share", help_, (), [] if share is None else [((), share)])
        refused = CounterMetricFamily(
            "clipbell_callbacks_refused", "Rejected callbacks, by reason.", labels=("reason",)
        )
        for reason, count in store.callbacks.count_rejections(self._tx).items():
            refused.add_metric((reason,), count)
        yield refused
        moved = CounterMetricFamily(
            "clipbell_failovers",
            "Jobs that moved to another vendor, by the vendor that refused them.",
            labels=("provider",),
        )
        for name, count in store.counts.failovers(self._tx).items():
            moved.add_metric((name,), count)
        yield moved
        help_ = "Checks of callback URLs (GET or HEAD) that were answered 200."
        checks = store.callbacks.url_checks(self._tx)
        yield CounterMetricFamily("clipbell_callback_url_checks", help_, value=checks)


def _by_name(counts: dict[str, int] | dict[str, bool]) -> list[Row]:
    return [((name,), count) for name, count in counts.items()]


def _gauge(name: str, help_: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"clipbell_{name}", help_, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
