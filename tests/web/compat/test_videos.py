"""OpenAI's API without processes: its fields, its objects, its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.factories import MOVIE, PICTURE, kept_video
from support.harness import Harness
from support.openai_videos import FOX, VIDEOS, job_of, made
from werkzeug.test import TestResponse

from service import store
from service.accounts import create_key
from service.model import Job, JobState, VideoState
from service.web.limits import Limits

pytestmark = pytest.mark.postgresql


def changed(harness: Harness, video: dict[str, Any], **changes: Any) -> Job:
    """The job of a video, with these columns now."""
    with harness.db.write() as tx:
        store.jobs.change(tx, video["id"], list(JobState), **changes)
    return job_of(harness, video)


def test_object(harness: Harness, client: FlaskClient) -> None:
    """A create answers with the documented object and how soon to ask again."""
    answer = client.post(VIDEOS, json=FOX | {"seconds": "10", "size": "720x1280"})
    video = answer.get_json()
    now = int(harness.clock().timestamp())

    assert {
        "id": video["id"],
        "object": "video",
        "model": "kling-2",
        "status": "queued",
        "progress": 0,
        "created_at": now,
        "completed_at": None,
        "expires_at": None,
        "prompt": "A fox",
        "seconds": "10",
        "size": "720x1280",
        "remixed_from_video_id": None,
        "error": None,
    } == video
    assert ("10000", video["id"]) == (
        answer.headers["openai-poll-after-ms"],
        answer.headers["x-request-id"],
    )
    assert video == client.get(f"{VIDEOS}/{video['id']}").get_json()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.QUEUED, "queued"),
        (JobState.HELD, "queued"),
        (JobState.SUBMITTING, "in_progress"),
        (JobState.SUBMITTED, "in_progress"),
        (JobState.UNKNOWN, "in_progress"),
        (JobState.FAILED, "failed"),
        (JobState.CANCELED, "failed"),
    ],
)
def test_states(harness: Harness, client: FlaskClient, state: JobState, expected: str) -> None:
    """Every state is one of the four words that a polling client knows."""
    video = made(client)
    error = {"code": "CONTENT_VIOLATION", "message": "no foxes"}
    changed(harness, video, state=state, error=error if state is JobState.FAILED else None)
    answer = client.get(f"{VIDEOS}/{video['id']}")
    found = answer.get_json()

    assert expected == found["status"]
    assert (expected == "failed") == (found["error"] is not None)
    assert (expected != "failed") == ("openai-poll-after-ms" in answer.headers)
    if state is JobState.CANCELED:
        assert "cancelled" == found["error"]["code"]


def test_progress(harness: Harness, client: FlaskClient) -> None:
    """It grows with the time that the model takes, and stays below 100 until the end."""
    video = made(client)
    changed(harness, video, state=JobState.SUBMITTED, sent_at=harness.clock())
    seen = []
    for seconds in (0, 100, 1000):
        harness.clock.advance(seconds)
        seen.append(client.get(f"{VIDEOS}/{video['id']}").get_json()["progress"])

    assert [0, 31, 99] == seen


def finished(harness: Harness, client: FlaskClient, **changes: Any) -> str:
    """The address of a video whose job has succeeded, with a copy or whatever `changes` make."""
    video = made(client)
    now = harness.clock()
    job = changed(harness, video, state=JobState.SUCCEEDED, finished_at=now, due_at=None)
    kept_video(harness, job, **changes)
    return f"{VIDEOS}/{video['id']}"


def fetched(client: FlaskClient, address: str, **headers: str) -> tuple[int, str | None, bytes]:
    """The status, type and bytes of a file."""
    with client.get(address, headers=headers) as answer:
        return answer.status_code, answer.mimetype, answer.data


def test_content(harness: Harness, client: FlaskClient) -> None:
    """The copy and its thumbnail, in whole and by ranges; a sprite sheet is none of ours."""
    address = finished(harness, client)
    found = client.get(address).get_json()
    whole = fetched(client, f"{address}/content")
    part = fetched(client, f"{address}/content", Range="bytes=4-7")
    thumbnail = fetched(client, f"{address}/content?variant=thumbnail")
    none = client.get(f"{address}/content?variant=spritesheet")
    wrong = client.get(f"{address}/content?variant=poster")

    assert ("completed", 100, "1280x720") == (found["status"], found["progress"], found["size"])
    assert (200, "video/mp4", MOVIE) == whole
    assert (206, "video/mp4", b"ftyp") == part
    assert (200, "image/jpeg", PICTURE) == thumbnail
    assert 404 == none.status_code
    assert (400, "variant") == (wrong.status_code, wrong.get_json()["error"]["param"])


def test_content_before_the_copy(harness: Harness, client: FlaskClient) -> None:
    """Late copies hold nobody up: after ARCHIVE_WAIT the provider's own link is what there is."""
    pending = {"state": VideoState.PENDING, "file": None, "poster_file": None, "stored_at": None}
    address = finished(harness, client, **pending)
    early = client.get(address).get_json()["status"]
    refused = client.get(f"{address}/content")
    harness.clock.advance(harness.wiring.settings.archive_wait)
    late = client.get(address).get_json()["status"]
    sent_on = client.get(f"{address}/content")

    assert ("in_progress", "completed") == (early, late)
    assert (404, 302) == (refused.status_code, sent_on.status_code)
    assert "https://provider.example/a.mp4" == sent_on.headers["Location"]


@pytest.mark.parametrize("settings_given", [{"retention_days": 7.0}])
def test_expiry(harness: Harness, client: FlaskClient) -> None:
    """`expires_at` is when our copy goes; afterwards its content is 410."""
    address = finished(harness, client)
    stored = harness.clock()
    found = client.get(address).get_json()
    with harness.db.write() as tx:
        video = store.videos.of_job(tx, found["id"])
        assert video is not None
        store.retention.mark_deleted(tx, video, "older than 7 days", stored, stored)

    assert int((stored + timedelta(days=7)).timestamp()) == found["expires_at"]
    assert 410 == client.get(f"{address}/content").status_code


def test_delete(harness: Harness, client: FlaskClient) -> None:
    """A deleted video is gone for this API; one that has not ended yet is not deleted."""
    address = finished(harness, client)
    open_one = made(client)
    gone = client.delete(address)
    refused = client.delete(f"{VIDEOS}/{open_one['id']}")

    assert {"id": address.rpartition("/")[2], "object": "video.deleted", "deleted": True} == (
        gone.get_json()
    )
    assert [404, 404] == [c.status_code for c in (client.get(address), client.delete(address))]
    assert (409, "false") == (refused.status_code, refused.headers["x-should-retry"])
    assert [open_one["id"]] == [v["id"] for v in client.get(VIDEOS).get_json()["data"]]


def pages(client: FlaskClient, query: str) -> Iterator[list[str]]:
    """The prompts of each page, followed as the SDK does."""
    after = ""
    while True:
        page = client.get(f"{VIDEOS}?limit=2&{query}{after}").get_json()
        yield [video["prompt"] for video in page["data"]]
        if not page["has_more"]:
            return
        after = f"&after={page['last_id']}"


def test_list(harness: Harness, client: FlaskClient) -> None:
    """Pages in either order hold every video of the account once, and nobody else's."""
    for number in range(5):
        harness.clock.advance(1)
        made(client, prompt=f"Fox {number}")
    _, key = harness.new_account("bob")
    bobs = client.get(VIDEOS, headers={"Authorization": f"Bearer {key}"}).get_json()

    assert [["Fox 4", "Fox 3"], ["Fox 2", "Fox 1"], ["Fox 0"]] == list(pages(client, ""))
    assert [["Fox 0", "Fox 1"], ["Fox 2", "Fox 3"], ["Fox 4"]] == list(pages(client, "order=asc"))
    assert {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None} == (
        bobs
    )


def said(answer: TestResponse) -> tuple[int, str | None]:
    """The status and code of a refusal, which is in OpenAI's shape."""
    error = answer.get_json()["error"]
    assert {"message", "type", "param", "code"} == set(error)
    return answer.status_code, error["code"]


def test_refusals(harness: Harness, client: FlaskClient) -> None:
    """Key, scope, id, method, body and type are refused in OpenAI's shape."""
    video = made(client)
    with harness.db.write() as tx:
        reader = create_key(tx, harness.account.id, "reader", ("read",), harness.clock())
    as_reader = {"Authorization": f"Bearer {reader}"}
    nobody = {"Authorization": ""}
    _, bobs = harness.new_account("bob")
    as_bob = {"Authorization": f"Bearer {bobs}"}

    assert (401, "invalid_api_key") == said(client.get(VIDEOS, headers=nobody))
    assert (403, "insufficient_permissions") == said(
        client.post(VIDEOS, json=FOX, headers=as_reader)
    )
    assert (404, "not_found") == said(client.get(f"{VIDEOS}/job_0"))
    assert (404, "not_found") == said(client.get(f"{VIDEOS}/{video['id']}", headers=as_bob))
    assert 405 == said(client.put(VIDEOS, json={}))[0]
    assert 400 == said(client.post(VIDEOS, data="{", content_type="application/json"))[0]
    assert 400 == said(client.post(VIDEOS, data="x", content_type="text/plain"))[0]
    assert 400 == said(client.post(VIDEOS, data="x", content_type="multipart/form-data"))[0]
    for query in ("limit=1000", "after=garbage", "order=up"):
        assert 400 == said(client.get(f"{VIDEOS}?{query}"))[0]
    for path in ("edits", "extensions", "characters"):
        assert (400, "unsupported") == said(client.post(f"{VIDEOS}/{path}", json={"prompt": "x"}))


@pytest.mark.parametrize("settings_given", [{"job_budget": 1.0}])
def test_no_money(harness: Harness, client: FlaskClient) -> None:
    """Over the budget a create is refused at once, in a way that no SDK repeats."""
    answer = client.post(VIDEOS, json=FOX)

    assert (429, "insufficient_quota") == said(answer)
    assert "insufficient_quota" == answer.get_json()["error"]["type"]
    assert "false" == answer.headers["x-should-retry"]


def test_too_often(client: FlaskClient) -> None:
    """Too many requests of a key are reported as such, and not as a want of money."""
    client.application.extensions["limits"] = Limits(key=1)
    client.get(VIDEOS)

    assert (429, "rate_limit_exceeded") == said(client.get(VIDEOS))


def test_idempotency_key(client: FlaskClient) -> None:
    """A key of the user's own makes one video of two forms, whatever their boundaries are."""
    forms = [
        client.post(VIDEOS, data=FOX, content_type=kind, headers={"Idempotency-Key": "one"})
        for kind in ("multipart/form-data; boundary=a", "multipart/form-data; boundary=b")
    ]
    other = client.post(VIDEOS, data=FOX | {"prompt": "A hare"}, headers={"Idempotency-Key": "one"})

    assert [200, 200] == [answer.status_code for answer in forms]
    assert 1 == len({answer.get_json()["id"] for answer in forms})
    assert [None, "true"] == [answer.headers.get("Idempotency-Replayed") for answer in forms]
    assert 400 == other.status_code
