"""
Damage where it hurts most: in rows that many others lean on.

Whatever the row, it stops itself alone, and `/readyz` answers.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from support.harness import Harness
from support.sandboxes import SandboxClient
from support.servers import Hook

from service import store
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.jobs.outcomes import fail_job
from service.jobs.restore import mark_unknown_after_restore
from service.model import JobState
from service.model.error_codes import job_error
from service.ops.upkeep import Heartbeat
from service.web.app import create_app


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """The sandbox is the vendor."""
    return {"apixo_base_url": sandbox.server.url, "poll_after": 5, "poll_every": 5}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The web over the harness's database, with its key; a worker has just been seen."""
    with harness.db.write() as tx:
        store.work.beat(tx, "w1", harness.clock())
    made = create_app(harness.wiring).test_client()
    made.environ_base["HTTP_X_API_KEY"] = harness.key
    return made


def change(harness: Harness, statement: str, **values: Any) -> None:
    """Write past the columns' own types."""
    with harness.db.write() as tx:
        assert tx.execute(text(statement), values).rowcount > 0


def aside(harness: Harness) -> list[str]:
    """The ids of the rows that are quarantined."""
    with harness.db.read() as tx:
        return [row.row_id for row in store.quarantine.rows(tx)]


def work(harness: Harness, kind: str) -> None:
    """What the engine does: a unit that raises is tried again."""
    for _ in range(5):
        with suppress(ValueError, TypeError):
            harness.drain(kind)


def test_subscription(harness: Harness) -> None:
    """A subscription that cannot be read keeps its own deliveries waiting, and nobody else's."""
    with Hook() as hook:
        specs = [SubscriptionSpec("webhook", f"{hook.url}/{name}") for name in ("damaged", "whole")]
        with harness.db.write() as tx:
            damaged, _ = [
                subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())[
                    0
                ]
                for spec in specs
            ]
        job = harness.new_job()
        with harness.db.write() as tx:
            fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", harness.clock())
        change(harness, "UPDATE subscriptions SET events = '[' WHERE id = :id", id=damaged.id)
        first = "UPDATE deliveries SET due_at = '2026-01-01 11:00:00' WHERE subscription_id = :id"
        change(harness, first, id=damaged.id)
        work(harness, "deliver")

        assert ["/hook/whole"] == [hit.path for hit in hook.hits]


def test_list(harness: Harness, client: FlaskClient) -> None:
    """Jobs beside a damaged one are listed."""
    damaged, whole = harness.new_job("one"), harness.new_job("two")
    change(harness, "UPDATE jobs SET input = '{broken' WHERE id = :id", id=damaged.id)

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


def make_rows(harness: Harness, path: str) -> list[str]:
    """Five rows of a list, by id."""
    jobs = [harness.new_job(str(n), notify=["webhook:http://127.0.0.1:9/x"]) for n in range(5)]
    if path == "/v1/jobs":
        return sorted(job.id for job in jobs)
    for job in jobs:
        harness.wiring.ingest.insert(job.id, "apixo", {}, b"{}", harness.clock())
    with harness.db.write() as tx:
        for job in jobs:
            fail_job(tx, job, job_error("OPERATOR", "ended"), "operator", harness.clock())
    with harness.db.read() as tx:
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
def test_pages(
    harness: Harness, client: FlaskClient, path: str, statement: str, place: int
) -> None:
    """Wherever a damaged row stands in a list, the pages go on behind it."""
    rows = make_rows(harness, path)
    damaged = rows.pop(place)
    change(harness, statement, id=damaged)

    assert rows[::-1] == listed(client, path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE providers SET last_error_since = 'yesterday'",
        "UPDATE workers SET seen_at = 'yesterday'",
    ],
)
def test_what_readyz_reads(harness: Harness, client: FlaskClient, statement: str) -> None:
    """Damage in what it looks at is a trouble that it tells."""
    change(harness, statement)
    answer = client.get("/readyz")

    assert 503 == answer.status_code
    assert "not ready" == answer.get_json()["status"]


def test_recovery(harness: Harness) -> None:
    """After a restore no job stays sendable because of one that cannot be read."""
    jobs = [harness.new_job(f"fox {number}") for number in range(3)]
    change(harness, "UPDATE jobs SET input = '{broken' WHERE id = :id", id=jobs[1].id)
    with suppress(ValueError):
        mark_unknown_after_restore(harness.db, harness.wiring.high_water, harness.clock())

    assert [JobState.UNKNOWN] * 2 == [harness.job(job).state for job in (jobs[0], jobs[2])]


def test_due_date(harness: Harness) -> None:
    """A row whose due date is none is found, and quarantined."""
    job = harness.new_job()
    change(harness, "UPDATE jobs SET due_at = 'tomorrow' WHERE id = :id", id=job.id)
    work(harness, "submit")
    Heartbeat(harness.wiring).beat()

    assert [job.id] == aside(harness)


def test_batch_of_polls(harness: Harness) -> None:
    """A job whose next poll cannot be set is quarantined; the next polls of the others are set."""
    damaged, whole = harness.new_job("[slow 60] one"), harness.new_job("[slow 60] two")
    harness.drain("submit")
    change(harness, "UPDATE jobs SET polls = 'many' WHERE id = :id", id=damaged.id)
    harness.clock.advance(6)
    work(harness, "poll")

    assert [damaged.id] == aside(harness)
    assert 1 == harness.job(whole).polls


def test_dead_worker_of_a_wrong_clock(harness: Harness, client: FlaskClient) -> None:
    """After the clock went back, a worker that died before is not taken for a living one."""
    with harness.db.write() as tx:
        store.work.beat(tx, "w1", harness.clock() + timedelta(hours=1))
    harness.clock.advance(1800)

    assert 503 == client.get("/readyz").status_code
