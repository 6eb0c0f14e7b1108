"""Vendors' records beside ours: tasks that no job has, and what was estimated and settled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.sandboxes import SandboxClient

from service.catalogue.models import OFFERS, VENDORS
from service.jobs.ledger import UnmatchedTask, compare_all
from service.jobs.lookup import job_in_url
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.model import Job, JobState
from service.ops.doctor_outside import check_ledger
from service.web.app import create_app

pytestmark = pytest.mark.postgresql

WITH_HISTORY = [name for name, vendor in VENDORS.items() if vendor.history]


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Every vendor is the sandbox."""
    given: dict[str, Any] = {"submit_timeout": 1.5}
    for name in VENDORS:
        given |= {f"{name}_base_url": sandbox.server.url, f"{name}_api_key": "k"}
    return given


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The app, with the operator's key on every request."""
    made = create_app(harness.wiring).test_client()
    made.environ_base["HTTP_X_API_KEY"] = harness.key
    return made


def sent(harness: Harness, vendor: str, orders: str = "") -> Job:
    """A job that the vendor was asked to make."""
    given = {"prompt": f"{orders} {harness.account.id}", "duration": 5}
    job = harness.new_job(model="kling-2.5-turbo", provider=vendor, input=given)
    harness.drain("submit")
    return harness.job(job)


def foreign(sandbox: SandboxClient, vendor: str, count: int = 1) -> list[str]:
    """Tasks that another program has made with the same key."""
    renderer = sandbox.server.renderer
    tasks = [
        renderer.open_task(
            OFFERS["kling-2.5-turbo"][vendor],
            "k",
            {"prompt": "another's", "duration": 5},
            sandbox.server.url,
            cost=0.35,
        )
        for _ in range(count)
    ]
    assert all(renderer.book.add(task) for task in tasks)
    return [task.id for task in tasks]


def unmatched(harness: Harness, vendor: str, before: set[str]) -> dict[str, UnmatchedTask]:
    """What the comparison finds at one vendor, by task, less what was there before."""
    w = harness.wiring
    job_of = job_in_url(w.signer, w.clock())
    providers = {vendor: w.providers[vendor]}
    since = w.clock() - timedelta(days=1)
    found, troubles = compare_all(w.db, providers, w.settings, since, job_of)
    assert {} == troubles
    return {one.task_id: one for one in found if one.task_id not in before}


@pytest.mark.parametrize("vendor", WITH_HISTORY)
def test_unmatched_tasks(vendor: str, harness: Harness, sandbox: SandboxClient) -> None:
    """A task of no job is listed, also one whose job was given up; a job's own is not."""
    before = set(unmatched(harness, vendor, set()))
    kept, given_up = sent(harness, vendor), sent(harness, vendor, "[drop]")
    with harness.db.write() as tx:
        resolve_by_hand(tx, given_up, Resolution(), harness.clock())
    (others,) = foreign(sandbox, vendor)
    found = unmatched(harness, vendor, before)

    assert JobState.SUBMITTED is kept.state
    assert kept.task_id not in found
    assert {others: None} == {id_: one.job_id for id_, one in found.items() if id_ == others}
    assert [given_up.id] == [one.job_id for one in found.values() if one.job_id]
    assert 2 == len(found)


@pytest.mark.parametrize("vendor", WITH_HISTORY)
def test_long_history(vendor: str, harness: Harness, sandbox: SandboxClient) -> None:
    """A list of several pages is read to its end."""
    before = set(unmatched(harness, vendor, set()))
    # More than fit on one page of either vendor.
    count = 510 if vendor == "kling" else 210
    made = foreign(sandbox, vendor, count)

    assert set(made) == set(unmatched(harness, vendor, before))


def test_doctor_names_what_was_paid_for_nothing(harness: Harness, sandbox: SandboxClient) -> None:
    """A task of another program is no finding; one of a job that does not have it is."""
    foreign(sandbox, "kling")
    well = check_ledger(harness.wiring)
    given_up = sent(harness, "kling", "[drop]")
    with harness.db.write() as tx:
        resolve_by_hand(tx, given_up, Resolution(), harness.clock())
    found = check_ledger(harness.wiring)

    assert well.ok
    assert (False, True) == (found.ok, f"made for {given_up.id}" in found.message)


def test_vendors_by_api(client: FlaskClient) -> None:
    """The API gives the tasks, and by vendor why one could not be asked."""
    answer = client.get("/v1/ledger/unmatched")

    assert 200 == answer.status_code
    assert {"data", "next_cursor", "errors"} == set(answer.get_json())


def test_settled_beside_estimated(
    harness: Harness, client: FlaskClient, sandbox: SandboxClient
) -> None:
    """By day and vendor: the estimate, what is reserved, the vendor's figure, the difference."""
    settled = sent(harness, "kling")
    assert settled.task_id
    sandbox.ended(settled.task_id)
    harness.clock.advance(400)
    harness.drain("poll")
    waiting = sent(harness, "kling", "[slow 99]")
    (day,) = client.get("/v1/ledger").get_json()["data"]

    assert (settled.estimated_max, JobState.SUBMITTED) == (0.35, waiting.state)
    assert {
        "day": "2026-01-01",
        "provider": "kling",
        "jobs": 2,
        "settled_jobs": 1,
        "estimated": 0.7,
        "reserved": 0.35,
        "settled": 0.35,
        "difference": 0.0,
    } == day
    assert [] == client.get("/v1/ledger?since=2026-01-02T00:00:00Z").get_json()["data"]
