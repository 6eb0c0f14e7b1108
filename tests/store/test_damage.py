"""
Damage where it hurts most: in rows that many others lean on.

Whatever the row, it stops itself alone, and `/readyz` answers.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from conftest import Bench
from flask.testing import FlaskClient
from sqlalchemy import text
from support.sandboxes import Wire
from support.servers import Hook

from service import store
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
from service.jobs.outcomes import fail_job
from service.jobs.restore import mark_unknown_after_restore
from service.model import JobState
from service.model.error_codes import job_error
from service.web.app import create_app
from service.worker import Heartbeat


@pytest.fixture
def settings_given(wire: Wire) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": wire.server.url, "poll_after": 5, "poll_every": 5}


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """The web over the bench's database, with its key; a worker has just been seen."""
    with bench.db.write() as tx:
        store.work.beat(tx, "w1", bench.clock())
    made = create_app(bench.wiring).test_client()
    made.environ_base["HTTP_X_API_KEY"] = bench.key
    return made


def change(bench: Bench, statement: str, **values: Any) -> None:
    """Write past the columns' own types."""
    with bench.db.write() as tx:
        assert tx.execute(text(statement), values).rowcount > 0


def aside(bench: Bench) -> list[str]:
    """The ids of the rows that are quarantined."""
    with bench.db.read() as tx:
        return [row.row_id for row in store.quarantine.rows(tx)]


def work(bench: Bench, kind: str) -> None:
    """What the engine does: a unit that raises is tried again."""
    for _ in range(5):
        with suppress(ValueError, TypeError):
            bench.drain(kind)


def test_subscription(bench: Bench) -> None:
    """A subscription that cannot be read keeps its own deliveries waiting, and nobody else's."""
    with Hook() as hook:
        specs = [SubscriptionSpec("webhook", f"{hook.url}/{name}") for name in ("damaged", "whole")]
        with bench.db.write() as tx:
            damaged, _ = [
                subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())[0]
                for spec in specs
            ]
        job = bench.new_job()
        with bench.db.write() as tx:
            fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", bench.clock())
        change(bench, "UPDATE subscriptions SET events = '[' WHERE id = :id", id=damaged.id)
        first = "UPDATE deliveries SET due_at = '2026-01-01 11:00:00' WHERE subscription_id = :id"
        change(bench, first, id=damaged.id)
        work(bench, "deliver")

        assert ["/hook/whole"] == [hit.path for hit in hook.hits]


def test_list(bench: Bench, client: FlaskClient) -> None:
    """Jobs beside a damaged one are listed."""
    damaged, whole = bench.new_job("one"), bench.new_job("two")
    change(bench, "UPDATE jobs SET input = '{broken' WHERE id = :id", id=damaged.id)

    assert [whole.id] == listed(client, "/v1/jobs")


def listed(client: FlaskClient, path: str) -> list[str]:
    """The ids of all pages of a list, two rows a page."""
    address, found = f"{path}?limit=2", []
    while address:
        answer = client.get(address)
        assert 200 == answer.status_code
        found += [one["id"] for one in answer.get_json()["data"]]
        address = answer.headers.get("Link", "").removeprefix("<").partition(">")[0]
    return found


def make_rows(bench: Bench, path: str) -> list[str]:
    """Five rows of a list, by id."""
    jobs = [bench.new_job(str(n), notify=["webhook:http://127.0.0.1:9/x"]) for n in range(5)]
    if path == "/v1/jobs":
        return sorted(job.id for job in jobs)
    for job in jobs:
        bench.wiring.ingest.insert(job.id, "apixo", {}, b"{}", bench.clock())
    with bench.db.write() as tx:
        for job in jobs:
            fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", bench.clock())
    with bench.db.read() as tx:
        rows = tx.execute(text(f"SELECT id FROM {path.removeprefix('/v1/')} ORDER BY id"))  # noqa: S608
        return list(rows.scalars())


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("/v1/jobs", "UPDATE jobs SET input = '{broken' WHERE id = :id"),
        ("/v1/callbacks", "UPDATE callbacks SET headers = '{broken' WHERE id = :id"),
        ("/v1/deliveries", "UPDATE deliveries SET due_at = 'soon' WHERE id = :id"),
    ],
)
def test_pages(bench: Bench, client: FlaskClient, path: str, statement: str, place: int) -> None:
    """Wherever a damaged row stands in a list, the pages go on behind it."""
    rows = make_rows(bench, path)
    damaged = rows.pop(place)
    change(bench, statement, id=damaged)

    assert rows[::-1] == listed(client, path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE providers SET last_error_since = 'yesterday'",
        "UPDATE workers SET seen_at = 'yesterday'",
    ],
)
def test_what_readyz_reads(bench: Bench, client: FlaskClient, statement: str) -> None:
    """Damage in what it looks at is a trouble that it tells."""
    change(bench, statement)
    answer = client.get("/readyz")

    assert 503 == answer.status_code
    assert "not ready" == answer.get_json()["status"]


def test_recovery(bench: Bench) -> None:
    """After a restore no job stays sendable because of one that cannot be read."""
    jobs = [bench.new_job(f"fox {number}") for number in range(3)]
    change(bench, "UPDATE jobs SET input = '{broken' WHERE id = :id", id=jobs[1].id)
    with suppress(ValueError):
        mark_unknown_after_restore(bench.db, bench.wiring.high_water, bench.clock())

    assert [JobState.UNKNOWN] * 2 == [bench.job(job).state for job in (jobs[0], jobs[2])]


def test_due_date(bench: Bench) -> None:
    """A row whose due date is none is found, and quarantined."""
    job = bench.new_job()
    change(bench, "UPDATE jobs SET due_at = 'tomorrow' WHERE id = :id", id=job.id)
    work(bench, "submit")
    Heartbeat(bench.wiring).beat()

    assert [job.id] == aside(bench)


def test_batch_of_polls(bench: Bench) -> None:
    """A job whose next poll cannot be set is quarantined; the next polls of the others are set."""
    damaged, whole = bench.new_job("[slow 60] one"), bench.new_job("[slow 60] two")
    bench.drain("submit")
    change(bench, "UPDATE jobs SET polls = 'many' WHERE id = :id", id=damaged.id)
    bench.clock.advance(6)
    work(bench, "poll")

    assert [damaged.id] == aside(bench)
    assert 1 == bench.job(whole).polls


def test_dead_worker_of_a_wrong_clock(bench: Bench, client: FlaskClient) -> None:
    """After the clock went back, a worker that died before is not taken for a living one."""
    with bench.db.write() as tx:
        store.work.beat(tx, "w1", bench.clock() + timedelta(hours=1))
    bench.clock.advance(1800)

    assert 503 == client.get("/readyz").status_code
