"""
How long pages and lists take with many jobs stored: milliseconds, first, median, p99, slowest.

``python -m bench.pages [--database postgresql] [--jobs N] [--requests N] [--only PATH …]
[--explain MS]``, from tests/.

With `--explain` the slowest statements of each page whose p99 is above so many milliseconds
follow, with the database's plans. A hundred jobs are really made; copies of their rows, by
SQL, fill the last thirty days, and the hourly maintenance has been there.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from flask.testing import FlaskClient
from sqlalchemy import Connection, Table, text

from bench.deployment import Vendor, database, running_peer
from bench.plans import milliseconds, plan_of, recorded
from bench.units import KINDS, ask_for, call_back, drain, prepare
from service import store
from service.accounts import create_key
from service.bootstrap import Wiring
from service.ops.reports import keep_reports
from service.store.schema import Moment, attempts, callbacks, deliveries, events, jobs, videos
from service.web.app import create_app
from service.web.session import login_url

#: Jobs that are really made.
MADE = 100
COPIED = (jobs, callbacks, videos, events, deliveries, attempts)
#: Ids that stay, and columns in which a copy needs another value, as SQL over `n`.
SAME = ("account_id", "subscription_id")
OTHER = {
    "task_id": "task_id || '-' || n",
    "dedup_key": "{id}",
    "feed_sequence": f"feed_sequence + n * {2 * MADE}",
}
DAYS = 30
#: Of a slow page, so many of its statements are shown.
SHOWN = 3
PATHS = """
/v1/me /v1/jobs /v1/jobs?state=succeeded /v1/jobs?state=failed /v1/jobs?model=kling-2
/v1/jobs?q=job_0 /v1/jobs/{job} /v1/jobs/{job}/timeline /v1/deliveries
/v1/deliveries?state=delivered /v1/deliveries?state=exhausted /v1/callbacks /v1/events?after=0
/v1/events/samples?event=job.succeeded /v1/subscriptions /v1/providers /metrics /readyz
/ /?state=succeeded /?state=failed /?q=fox /?q=whale /deliveries /deliveries?state=delivered
/callbacks /subscriptions /numbers?range=30d /numbers?range=24h /jobs/{job} /settings
""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Dialect:
    """How a copy's id and moments are written in one database's SQL."""

    hex: str
    earlier: str
    numbers: str


DIALECTS = {
    True: Dialect(
        "printf('%012x', :newest - n * :step)",
        "strftime('%Y-%m-%d %H:%M:%f000', {0}, '-' || (n * :step / 1000.0) || ' seconds')",
        "WITH RECURSIVE copies(n) AS "
        "(SELECT :count UNION ALL SELECT n - 1 FROM copies WHERE n > 1)",
    ),
    False: Dialect(
        "lpad(to_hex(CAST(:newest - n * :step AS bigint)), 12, '0')",
        "{0} - n * :step * interval '1 millisecond'",
        # Whose product with a step of milliseconds is no integer of four bytes.
        "WITH copies AS (SELECT CAST(generate_series(:count, 1, -1) AS bigint) AS n)",
    ),
}


def multiply(tx: Connection, table: Table, count: int, newest: int) -> None:
    """So many copies of every row, each of them earlier than the one before."""
    how = DIALECTS[tx.dialect.name == "sqlite"]
    step = DAYS * 86_400_000 // (count + 1)

    def copied(name: str) -> str:
        column = table.c[name]
        if name in SAME:
            return name
        own = f"substr({{0}}, 1, 4) || {how.hex} || substr({{0}}, 17)"
        if name in OTHER:
            return OTHER[name].format(id=own.format("id"))
        if name == "id" or name.endswith("_id"):
            return own.format(name)
        return how.earlier.format(name) if isinstance(column.type, Moment) else name

    names = [column.name for column in table.c]
    listed = ", ".join(f'"{name}"' for name in names)
    chosen = ", ".join(copied(name) for name in names)
    made = f"{table.name} AS made CROSS JOIN copies ORDER BY n DESC"
    source = f"{how.numbers} SELECT {chosen} FROM {made}"  # noqa: S608
    statement = f"INSERT INTO {table.name} ({listed}) {source}"
    tx.execute(text(statement), {"newest": newest, "step": step, "count": count})


def fill(wiring: Wiring, hook: str, count: int) -> None:
    """So many jobs that have succeeded, with all that hangs on them."""
    ask_for(wiring, hook, MADE)
    for kind in KINDS:
        if kind == "process":
            call_back(wiring)
        drain(wiring.units()[kind], None)
    newest = int(wiring.clock().timestamp() * 1000)
    for table in COPIED:
        with wiring.db.write() as tx:
            # One statement of minutes is not what the limit is for.
            if not wiring.db.is_sqlite:
                tx.execute(text("SET LOCAL statement_timeout = 0"))
            multiply(tx, table, count // MADE, newest)
    with wiring.db.write() as tx:
        tx.execute(text("UPDATE feeds SET last_seq = (SELECT max(feed_sequence) FROM events)"))
        # As its autovacuum does. On SQLite nobody does it, and plans are made without.
        if not wiring.db.is_sqlite:
            tx.execute(text("ANALYZE"))


@dataclass(frozen=True)
class Visitor:
    """Who asks for the pages: a browser with a session, which has a key too."""

    client: FlaskClient
    key: str

    def get(self, path: str) -> float:
        """One request; the milliseconds that it takes."""
        headers = {"x-api-key": self.key} if path.startswith(("/v1", "/metrics")) else {}
        began = time.perf_counter()
        answer = self.client.get(path, headers=headers)
        took = 1000 * (time.perf_counter() - began)
        assert answer.status_code in (200, 503), (path, answer.status, answer.data[:200])
        return took


def visitor_of(wiring: Wiring) -> Visitor:
    """The newest account, in every scope."""
    scopes = ("read", "submit", "admin", "operator")
    with wiring.db.write() as tx:
        account = store.accounts.everyone(tx)[-1]
        key = create_key(tx, account.id, "bench", scopes, wiring.clock())
        made = store.accounts.keys(tx, account.id)[-1]
    client = create_app(wiring).test_client()
    client.get(login_url("", wiring.settings.keys(), made.id, wiring.clock()))
    return Visitor(client, key)


def explain(wiring: Wiring, path: str, visitor: Visitor) -> None:
    """Print the slowest statements of one more request, and how the database answers them."""
    with recorded(wiring.db) as statements:
        took = visitor.get(path)
    timed = [(milliseconds(wiring.db, one), one) for one in statements if one.is_query]
    whole = sum(one for one, _ in timed)
    print(f"  {took:.1f} ms, of which {len(timed)} queries {whole:.1f} ms; the slowest:")
    for one, statement in sorted(timed, key=lambda pair: -pair[0])[:SHOWN]:
        print(f"  {one:.1f} ms: {' '.join(statement.sql.split())}")
        for line in plan_of(wiring.db, statement):
            print(f"      {line}", flush=True)


def main() -> None:
    """Print the figures as lines of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=PATHS)
    parser.add_argument("--explain", type=float, metavar="MS")
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(options.database) as settings,
        running_peer(Path(folder), Vendor(task_seconds=3600)) as other,
    ):
        wiring = prepare(Path(folder), other, settings, patience=600.0)
        began = time.monotonic()
        fill(wiring, f"{other.url}/hook", options.jobs)
        filled = time.monotonic()
        days = keep_reports(wiring.db, wiring.clock(), threading.Event())
        prepared = {"filled in seconds": round(filled - began), "days kept": days}
        prepared["in seconds"] = round(time.monotonic() - filled)
        print(json.dumps(prepared), flush=True)
        visitor = visitor_of(wiring)
        job = visitor.client.get("/v1/jobs", headers={"x-api-key": visitor.key}).get_json()
        for template in options.only:
            path = template.format(job=job["data"][0]["id"])
            took = [visitor.get(path) for _ in range(options.requests)]
            figures = _figures(took)
            print(json.dumps({"path": template, **figures}), flush=True)
            if options.explain is not None and figures["p99"] > options.explain:
                explain(wiring, path, visitor)
        wiring.close()


def _figures(took: list[float]) -> dict[str, float]:
    """The first request warms caches up; it counts by itself only."""
    p99 = quantiles(took[1:], n=100, method="inclusive")[98]
    found = {"first": took[0], "median": median(took), "p99": p99, "slowest": max(took[1:])}
    return {name: round(value, 1) for name, value in found.items()}


if __name__ == "__main__":
    main()
