"""Reports over an account's rows by UTC day, computed by the database of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Date, Double, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from service.model import TERMINAL, DeliveryState, first_id
from service.store.jobs import COST, PAID
from service.store.schema import attempts, callbacks, deliveries, jobs
from service.store.work import values


class _UtcDay(FunctionElement[date]):
    """An SQL expression: the UTC day of a time."""

    type = Date()
    inherit_cache = True


class _Seconds(FunctionElement[float]):
    """An SQL expression: the seconds between two times."""

    type = Double()
    inherit_cache = True


@compiles(_UtcDay, "sqlite")
def _day_on_sqlite(element: _UtcDay, compiler: Any, **more: Any) -> str:
    return f"date({compiler.process(element.clauses, **more)})"


@compiles(_UtcDay, "postgresql")
def _day_on_postgresql(element: _UtcDay, compiler: Any, **more: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **more)} AT TIME ZONE 'UTC' AS DATE)"


@compiles(_Seconds, "sqlite")
def _seconds_on_sqlite(element: _Seconds, compiler: Any, **more: Any) -> str:
    first, last = (compiler.process(clause, **more) for clause in element.clauses)
    return f"(julianday({last}) - julianday({first})) * 86400.0"


@compiles(_Seconds, "postgresql")
def _seconds_on_postgresql(element: _Seconds, compiler: Any, **more: Any) -> str:
    first, last = (compiler.process(clause, **more) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM {last} - {first}) AS DOUBLE PRECISION)"


@dataclass(frozen=True)
class DayOfJobs:
    """
    A model's jobs that were sent to one provider on one UTC day.

    `spent` is in dollars, spent or reserved; `called` and `polled` count the jobs
    whose result came by a callback or by polling.
    """

    day: date
    model: str
    provider: str
    jobs: int
    spent: float
    called: int
    polled: int


@dataclass(frozen=True)
class DayOfLedger:
    """
    The costs of the jobs sent to one provider on one UTC day, in dollars.

    `estimated` is the sum of the highest estimates of all that count as paid. Of these,
    `settled_jobs` have a cost reported by the vendor, `settled` in total, with the
    estimates `expected`. For the others, `reserved` is the sum of the estimates.
    """

    day: date
    provider: str
    jobs: int
    settled_jobs: int
    estimated: float
    reserved: float
    settled: float
    expected: float

    @property
    def difference(self) -> float:
        """Dollars that the vendor has charged beyond the estimates of the same jobs."""
        return round(self.settled - self.expected, 6)


@dataclass(frozen=True)
class DayOfWaits:
    """Seconds from submission to the callback that ended the job, as percentiles."""

    day: date
    model: str
    callbacks: int
    p50: float
    p95: float


@dataclass(frozen=True)
class DeliveryCount:
    """
    The number of a subscription's deliveries in a state.

    `failing` ones are pending after a failed attempt.
    """

    subscription_id: str
    channel: str
    state: DeliveryState
    failing: bool
    count: int


@dataclass(frozen=True)
class AttemptCount:
    """The number of a subscription's attempts with a duration, in milliseconds to two digits."""

    subscription_id: str
    milliseconds: int
    failed: bool
    count: int


def jobs_by_state(tx: Connection, account_id: str) -> dict[str, int]:
    """The number of an account's jobs, by state."""
    statement = select(jobs.c.state, func.count()).where(jobs.c.account_id == account_id)
    return {str(state): count for state, count in tx.execute(statement.group_by(jobs.c.state))}


def days_of_jobs(
    tx: Connection, account_id: str, since: datetime, until: datetime | None = None
) -> list[DayOfJobs]:
    """The cost of an account's jobs and the sources of their results, by day of sending."""
    day = _UtcDay(jobs.c.sent_at).label("day")
    columns = (
        day,
        jobs.c.model,
        jobs.c.provider,
        func.count().label("jobs"),
        func.sum(case((PAID, COST), else_=0.0)).label("spent"),
        _how_many(jobs.c.resolved_by == "callback").label("called"),
        _how_many(jobs.c.resolved_by == "poll").label("polled"),
    )
    same = (day, jobs.c.model, jobs.c.provider)
    sent = select(*columns).where(_sent(account_id, since, until))
    grouped = sent.group_by(*same).order_by(*same)
    return values(DayOfJobs, tx.execute(grouped).all())


def _sent(account_id: str, since: datetime, until: datetime | None) -> ColumnElement[bool]:
    """A condition: an account's jobs sent at `since` or later, and before `until`."""
    own = (jobs.c.account_id == account_id) & (jobs.c.sent_at >= since)
    return own if until is None else own & (jobs.c.sent_at < until)


def ledger(
    tx: Connection, account_id: str, since: datetime, until: datetime | None = None
) -> list[DayOfLedger]:
    """Estimates and the costs that vendors report, by day of sending, the newest first."""
    day = _UtcDay(jobs.c.sent_at).label("day")
    settled = jobs.c.actual_cost.is_not(None)
    estimate = func.coalesce(jobs.c.estimated_max, 0.0)

    def total(condition: ColumnElement[bool], amount: ColumnElement[Any]) -> ColumnElement[float]:
        return func.sum(case((condition, amount), else_=0.0))

    columns = (
        day,
        jobs.c.provider,
        func.count().label("jobs"),
        _how_many(settled).label("settled_jobs"),
        total(PAID, estimate).label("estimated"),
        total(PAID & ~settled, estimate).label("reserved"),
        total(settled, jobs.c.actual_cost).label("settled"),
        total(settled, estimate).label("expected"),
    )
    sent = select(*columns).where(_sent(account_id, since, until))
    grouped = sent.group_by(day, jobs.c.provider).order_by(day.desc(), jobs.c.provider)
    return values(DayOfLedger, tx.execute(grouped).all())


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def days_of_waits(
    tx: Connection, account_id: str, since: datetime, until: datetime | None = None
) -> list[DayOfWaits]:
    """The waits of an account's jobs for their callbacks, by day of sending."""
    own = (callbacks.c.job_id == jobs.c.id) & (callbacks.c.received_at <= jobs.c.finished_at)
    # A subquery per job: the plan of a join may be bad over tables that have just grown.
    arrived = select(func.max(callbacks.c.received_at)).where(own).scalar_subquery()
    waits = (
        select(
            _UtcDay(jobs.c.sent_at).label("day"),
            jobs.c.model,
            _Seconds(jobs.c.submitted_at, arrived).label("seconds"),
        )
        .where(_sent(account_id, since, until), jobs.c.resolved_by == "callback")
        .cte("waits")
        # Materialised: else PostgreSQL looks for the callback wherever the seconds occur.
        .prefix_with("MATERIALIZED")
    )
    same = (waits.c.day, waits.c.model)
    place = func.row_number().over(partition_by=same, order_by=waits.c.seconds)
    among = func.count().over(partition_by=same)
    ranked = (
        select(*same, waits.c.seconds, place.label("place"), among.label("callbacks"))
        .where(waits.c.seconds.is_not(None))
        .subquery()
    )
    columns = (
        ranked.c.day,
        ranked.c.model,
        func.max(ranked.c.callbacks).label("callbacks"),
        _at_share(ranked.c, 50).label("p50"),
        _at_share(ranked.c, 95).label("p95"),
    )
    grouped = select(*columns).group_by(ranked.c.day, ranked.c.model)
    rows = tx.execute(grouped.order_by(ranked.c.day, ranked.c.model)).all()
    return values(DayOfWaits, rows)


def _at_share(ranked: Any, percent: int) -> ColumnElement[float]:
    """An SQL expression: the smallest value that `percent` of the rows do not exceed."""
    # The share rounded up, in whole numbers.
    wanted = (ranked.callbacks * percent + 99) // 100
    # A callback may overtake the answer to the create: that wait counts as zero.
    waited = (ranked.place == wanted) & (ranked.seconds > 0)
    return func.max(case((waited, ranked.seconds), else_=0.0))


def deliveries_since(
    tx: Connection, account_id: str, since: datetime, until: datetime | None = None
) -> list[DeliveryCount]:
    """The counts of an account's deliveries since a time, by subscription and state."""
    own = _deliveries_since(account_id, since, until)
    pending = (own.state == DeliveryState.PENDING) & (own.attempts > 0)
    failing = case((pending, True), else_=False).label("failing")
    which = (own.subscription_id, own.channel, own.state, failing)
    statement = select(*which, func.count().label("count")).group_by(*which).order_by(*which)
    return values(DeliveryCount, tx.execute(statement).all())


def _deliveries_since(account_id: str, since: datetime, until: datetime | None) -> Any:
    """The columns of an account's deliveries since a time."""
    d = deliveries.c
    columns = (d.id, d.subscription_id, d.channel, d.state, d.attempts)
    own = _made(account_id, since, until)
    # Materialised: else SQLite reads all deliveries of all times, in the order of the groups.
    return select(*columns).where(own).cte("own").prefix_with("MATERIALIZED").c


def _made(account_id: str, since: datetime, until: datetime | None) -> ColumnElement[bool]:
    """A condition: an account's deliveries created at `since` or later, and before `until`."""
    own = (deliveries.c.account_id == account_id) & (deliveries.c.id >= first_id("dlv", since))
    return own if until is None else own & (deliveries.c.id < first_id("dlv", until))


def attempts_since(
    tx: Connection, account_id: str, since: datetime, until: datetime | None = None
) -> list[AttemptCount]:
    """The counts of an account's attempts since a time, by subscription and duration."""
    own = _deliveries_since(account_id, since, until)
    taken = attempts.c.milliseconds
    # Two digits are precise enough, and give few rows.
    steps = ((taken < 10 ** (n + 2), taken - taken % 10**n) for n in range(3))
    rounded = case(*steps, else_=taken - taken % 1000).label("milliseconds")
    failed = attempts.c.error.is_not(None).label("failed")
    which = (own.subscription_id, rounded, failed)
    statement = select(*which, func.count().label("count")).where(own.id == attempts.c.delivery_id)
    rows = tx.execute(statement.group_by(*which).order_by(*which)).all()
    return [AttemptCount(one, taken, bool(bad), count) for one, taken, bad, count in rows]


def is_settled(tx: Connection, account_id: str, since: datetime, until: datetime) -> bool:
    """Whether all jobs sent and all deliveries created in that time are finished."""
    running = _sent(account_id, since, until) & jobs.c.state.not_in(sorted(TERMINAL))
    pending = _made(account_id, since, until) & (deliveries.c.state == DeliveryState.PENDING)
    under_way = select(jobs.c.id).where(running).exists()
    owed = select(deliveries.c.id).where(pending).exists()
    return not tx.scalar(select(under_way | owed))


def has_rows(tx: Connection, account_id: str, since: datetime, until: datetime, count: int) -> bool:
    """Whether that time has at least `count` jobs or at least `count` deliveries."""
    nth = count - 1
    sent = select(jobs.c.id).where(_sent(account_id, since, until)).offset(nth).exists()
    made = select(deliveries.c.id).where(_made(account_id, since, until)).offset(nth).exists()
    return bool(tx.scalar(select(sent | made)))
