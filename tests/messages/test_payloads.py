"""The bodies that subscribers read: their fields, their words, their blanks."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from service.formatting import iso
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.messages.payloads import FORMATS, Notification, apixo_status, flat, standard
from service.model import Event, EventType, Job, JobState, Video, VideoState
from service.model.error_codes import job_error
from service.model.job_json import dry_run_json, job_json, video_json
from service.settings import load_settings

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DONE = NOW + timedelta(seconds=42.5)
URL = "https://clips.example.com"
LINK = f"{URL}/v/TOKEN"


def job(model: str = "kling-2", **changes: Any) -> Job:
    """A job as it was asked for."""
    body = {"model": model, "input": {"prompt": "A fox"}, "metadata": {"order": 7}}
    asked = check_request(body, {}, Market({"apixo", "segmind"}, {}, NOW.date()))
    return replace(planned_job(load_settings({}), "acc_1", asked, NOW), **changes)


def succeeded() -> Job:
    """A job that has its video."""
    return job(state=JobState.SUCCEEDED, task_id="t1", submitted_at=NOW, finished_at=DONE)


def failed() -> Job:
    """A job that has none."""
    error = asdict(job_error("CONTENT_VIOLATION", "no foxes", "NSFW"))
    return job(state=JobState.FAILED, finished_at=DONE, error=error)


def video(**changes: Any) -> Video:
    """A stored copy."""
    made = Video(
        id="vid_1",
        account_id="acc_1",
        job_id="job_1",
        state=VideoState.STORED,
        provider_url="https://provider.example/a.mp4",
        provider_expires_at=NOW + timedelta(days=1),
        file="vid_1.mp4",
        poster_file="vid_1.jpg",
        bytes=1234,
        sha256="ab" * 32,
        seconds=5.0,
        width=1280,
        height=720,
        attempts=1,
        note="",
        claims=1,
        due_at=None,
        link_expires_at=NOW + timedelta(days=90),
        created_at=NOW,
        stored_at=DONE,
    )
    return replace(made, **changes)


def notification(about: Job, seen: Video | None = None) -> Notification:
    """A notice of this job's end."""
    kind = EventType.JOB_SUCCEEDED if seen else EventType.JOB_FAILED
    event = Event("evt_1", "acc_1", about.id, kind, 3, DONE)
    return Notification(event, about, seen, LINK if seen else None, URL, f"{URL}/u/TOKEN")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, None),
        (DONE, "2026-01-01T12:00:42.500Z"),
        (DONE.astimezone(timezone(timedelta(hours=5))), "2026-01-01T12:00:42.500Z"),
    ],
)
def test_iso(moment: datetime | None, expected: str | None) -> None:
    """Every time is RFC 3339 in UTC, ending in Z."""
    assert expected == iso(moment)


def test_whole_seconds() -> None:
    """A time without fractions has none in its text, as documented."""
    assert "2026-01-01T12:00:00Z" == iso(NOW)


def test_job_has_the_documented_fields() -> None:
    """The job as JSON has each field that is promised, in one spelling."""
    shown = job_json(succeeded(), video(), LINK)
    cost = {"currency": "USD", "estimated_min": 1.75, "estimated_max": 1.75, "actual": None}
    fields = ["id", "model", "provider", "task_id", "state", "input", "metadata", "video"]
    fields += ["error", "cost", "created_at", "submitted_at", "finished_at", "deadline_at"]
    fields += ["cancel_at", "events"]

    assert fields == list(shown)
    assert ("kling-2", "segmind", "succeeded") == (
        shown["model"],
        shown["provider"],
        shown["state"],
    )
    assert ({"order": 7}, None, cost) == (shown["metadata"], shown["error"], shown["cost"])
    assert {"prompt": "A fox", "duration": 5} == {
        name: value for name, value in shown["input"].items() if name in ("prompt", "duration")
    }


def test_video_has_the_documented_fields() -> None:
    """The video within a job: our links, its figures, the provider's link."""
    shown = job_json(succeeded(), video(), LINK)["video"]

    assert {
        "url": LINK,
        "download_url": f"{LINK}?download=1",
        "poster_url": f"{LINK}/poster.jpg",
        "bytes": 1234,
        "sha256": "ab" * 32,
        "seconds": 5.0,
        "width": 1280,
        "height": 720,
        "provider_url": "https://provider.example/a.mp4",
        "provider_expires_at": iso(NOW + timedelta(days=1)),
        "deleted_at": None,
    } == shown


def test_error_has_the_documented_fields() -> None:
    """Why a job failed: our code, the vendor's words, what to do."""
    error = job_json(failed(), None, None)["error"]

    assert error is not None
    assert ["code", "hint", "message", "provider_code", "retryable"] == sorted(error)
    assert ("CONTENT_VIOLATION", "no foxes", "NSFW") == (
        error["code"],
        error["message"],
        error["provider_code"],
    )


def test_no_video_yet() -> None:
    """Before there is a video the field is null; before the poster its link is."""
    assert job_json(job(), None, None)["video"] is None
    assert video_json(video(poster_file=None), LINK)["poster_url"] is None


def test_standard() -> None:
    """The default body: type, time, version and sequence around the job."""
    report = standard(notification(succeeded(), video()))

    assert ["type", "timestamp", "api_version", "sequence", "data"] == list(report)
    assert ("job.succeeded", "v1", 3) == (report["type"], report["api_version"], report["sequence"])
    assert job_json(succeeded(), video(), LINK) | {"id": ""} == report["data"] | {"id": ""}


def test_flat() -> None:
    """One level only, with the names that no-code tools map."""
    report = flat(notification(succeeded(), video()))
    expected = "id type timestamp job_id state prompt model video_url download_url poster_url"

    assert set() == {*expected.split(), "error_message", "created_at"} - report.keys()
    assert ("evt_1", "A fox", LINK) == (report["id"], report["prompt"], report["video_url"])
    assert not [name for name, value in report.items() if isinstance(value, dict | list)]


def test_flat_of_a_failure() -> None:
    """The same names, the link blank, the reason reported."""
    report, good = flat(notification(failed())), flat(notification(succeeded(), video()))

    assert good.keys() == report.keys()
    assert (None, "no foxes") == (report["video_url"], report["error_message"])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("queued", "pending"),
        ("held", "pending"),
        ("submitting", "processing"),
        ("submitted", "processing"),
        ("unknown", "processing"),
        ("succeeded", "success"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_apixo_states(state: str, expected: str) -> None:
    """Each of our states is one of the four of APIXO's envelope."""
    report = apixo_status(job(state=JobState(state)), LINK)

    assert (200, expected) == (report["code"], report["data"]["state"])
    assert ("resultJson" in report["data"]) == (expected == "success")
    assert ("failCode" in report["data"]) == (expected == "failed")


def test_apixo_envelope() -> None:
    """Times in milliseconds, the result as JSON within a string, our id as the task's."""
    done = succeeded()
    data = apixo_status(done, LINK)["data"]

    assert {"resultUrls": [LINK]} == json.loads(data["resultJson"])
    assert (done.id, 42_500) == (data["taskId"], data["costTime"])
    assert 1767268800000 == data["createTime"] == data["completeTime"] - data["costTime"]
    assert {"failCode": "CONTENT_VIOLATION", "failMsg": "no foxes"}.items() <= apixo_status(
        failed(), None
    )["data"].items()


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_json(format_: str) -> None:
    """Each body survives JSON, with and without a video."""
    for report in (notification(succeeded(), video()), notification(failed()), notification(job())):
        body = FORMATS[format_](report)
        assert body == json.loads(json.dumps(body))


def test_dry_run_hides_the_token() -> None:
    """What would be sent is shown but for the callback's token; price and time are reported."""
    url = f"{URL}/callbacks/SECRET"
    wire = {"url": "https://p", "body": {"callback_url": url, "nested": [{"again": url}]}}
    notes = {"choice": None, "warning": None}
    report = dry_run_json(job(), wire, url, 317.18, notes, None)

    assert "SECRET" not in json.dumps(report)
    assert f"{URL}/callbacks/***" == report["request"]["body"]["callback_url"]
    assert (True, 317.18, 1.75) == (
        report["dry_run"],
        report["expected_seconds"],
        report["cost"]["estimated_max"],
    )


@pytest.mark.parametrize(
    ("about", "seen", "expected"),
    [(succeeded(), video(), "video.completed"), (failed(), None, "video.failed")],
)
def test_openai_names_the_video_only(about: Job, seen: Video | None, expected: str) -> None:
    """OpenAI's event is thin: its type, its time in seconds, and the id to ask with."""
    assert {
        "id": "evt_1",
        "object": "event",
        "created_at": int(DONE.timestamp()),
        "type": expected,
        "data": {"id": about.id},
    } == FORMATS["openai"](notification(about, seen))
