"""Pull mode: nothing has to reach this server, and jobs end all the same."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.harness import Harness
from support.sandboxes import SandboxClient, png

from service import store
from service.jobs.requests import check_request, request_job, with_saved_images
from service.jobs.submission import preview
from service.model import JobState
from service.ops.doctor import findings, pull_notice
from service.ops.health import examine
from service.settings import load_settings


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Pull mode, with the sandbox as APIXO."""
    return {"pull": True, "apixo_base_url": sandbox.server.url}


def test_a_job_is_polled_for(harness: Harness, sandbox: SandboxClient) -> None:
    """It goes out without a callback URL, and is asked about after half its expected time."""
    w = harness.wiring
    job = harness.new_job()
    wire = preview(w.providers, w.settings, w.signer, job)["request"]["body"]
    harness.drain("submit")
    sandbox.ended(harness.job(job).task_id or "")
    harness.clock.advance(22)
    harness.drain("poll")
    early = harness.job(job).state
    harness.clock.advance(1)
    harness.drain("poll")

    assert ("async", False) == (wire["request_type"], "callback_url" in wire)
    assert (JobState.SUBMITTED, JobState.SUCCEEDED) == (early, harness.job(job).state)


def test_nothing_is_called_a_rescue(harness: Harness, sandbox: SandboxClient) -> None:
    """Neither the timeline nor the health check misses a callback."""
    w = harness.wiring
    job = harness.new_job()
    harness.drain("submit")
    sandbox.ended(harness.job(job).task_id or "")
    harness.clock.advance(60)
    harness.drain("poll")
    with harness.db.read() as tx:
        steps = [step.message for step in store.steps.of_job(tx, job.id)]
    checks = examine(w.db, w.storage, w.providers, harness.clock(), w.settings).checks

    assert [] == [said for said in steps if "callback" in said or "recovered" in said]
    assert "CLIPBELL_PULL" in next(c.message for c in checks if c.name == "callbacks")


def test_an_uploaded_image_is_refused(harness: Harness, sandbox: SandboxClient) -> None:
    """A vendor that fetches images cannot fetch ours: the job fails unsent, and says why."""
    w = harness.wiring
    values = {"prompt": "A fox", "image_urls": [base64.b64encode(png("#c82828")).decode()]}
    body = {"model": "kling-2-5-turbo-pro", "input": values}
    asked = check_request(body, w.channels, w.market())
    with harness.db.write() as tx:
        asked = with_saved_images(w.uploads, asked, harness.clock())
        account = harness.account.id
        job = request_job(tx, w.encryptor, w.settings, account, asked, harness.clock())
    harness.drain("submit")
    found = harness.job(job)

    assert JobState.FAILED is found.state
    assert "CLIPBELL_PULL" in (found.error or {})["message"]


@pytest.mark.parametrize(
    ("public_url", "base_url", "report"),
    [
        ("http://127.0.0.1:8000", "https://api.apixo.ai", True),
        ("http://10.1.2.3", "https://api.apixo.ai", True),
        ("http://laptop.local:8000", "https://api.apixo.ai", True),
        ("https://clips.example.com", "https://api.apixo.ai", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8100", False),
    ],
)
def test_notice(public_url: str, base_url: str, report: bool) -> None:
    """Who gives a private address to a real vendor learns of pull mode, and nobody else is."""
    given = {"PUBLIC_URL": public_url, "APIXO_API_KEY": "k", "APIXO_BASE_URL": base_url}
    settings = load_settings({f"CLIPBELL_{name}": value for name, value in given.items()})

    assert report == ("CLIPBELL_PULL=true" in pull_notice(settings))


def test_doctor(harness: Harness) -> None:
    """In pull mode the doctor calls no public address, and says what that means."""
    (check,) = findings(harness.wiring, ["public url"])

    assert check.ok
    assert "pull mode" in check.message
