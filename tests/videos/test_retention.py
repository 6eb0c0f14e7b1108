"""What is not kept: old videos and rows go, nothing undelivered does, and one job on request."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from support.factories import MOVIE, kept_video, path_of
from support.harness import Harness
from support.sandboxes import png
from support.servers import Hook

from service import store
from service.accounts import create_key
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.errors import Conflict
from service.jobs.outcomes import record_outcome
from service.model import EventType, Job, JobState, Outcome, TaskState, Video, VideoState, new_id
from service.model.error_codes import job_error
from service.ops.upkeep import Maintenance
from service.store.schema import metadata
from service.videos.archive import LEASE_SECONDS
from service.videos.downloads import opened
from service.videos.retention import (
    delete_expired,
    delete_orphans,
    erase_job,
    expired_videos,
    purge_rows,
)
from service.web.app import create_app
from service.web.session import login_url

pytestmark = pytest.mark.postgresql

DAY = 86_400.0
SIZE = len(MOVIE)


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Thirty days, and room for three videos of an account."""
    return {"retention_days": 30, "quota_bytes": 3 * SIZE}


@pytest.fixture
def client(harness: Harness) -> FlaskClient:
    """The API, with alice's key."""
    client = create_app(harness.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def ended_job(harness: Harness, prompt: str = "A fox", **body: Any) -> Job:
    """A job that has succeeded, without a video yet."""
    job = harness.new_job(prompt, **body)
    with harness.db.write() as tx:
        store.jobs.end(tx, job.id, harness.clock(), state=JobState.SUCCEEDED, resolved_by="poll")
        store.events.insert_for_job(
            tx, job.account_id, job.id, EventType.JOB_SUCCEEDED, harness.clock()
        )
        store.steps.add(tx, job.id, "succeeded", f"made {prompt}", harness.clock())
    return harness.job(job)


def now_as(harness: Harness, video: Video) -> Video:
    """The video as it is now."""
    with harness.db.read() as tx:
        found = store.videos.find(tx, video.id)
    assert found is not None
    return found


def files(harness: Harness) -> list[str]:
    """All that lies in storage."""
    return sorted(p.name for p in harness.wiring.storage.folder.rglob("*") if p.is_file())


def delete_all(harness: Harness) -> list[str]:
    """Delete until nothing is left; the ids."""
    found = []
    while batch := delete_expired(harness.db, harness.wiring.settings, harness.clock()):
        found += [one.video.id for one in batch]
    return found


def subscribed(harness: Harness, url: str) -> None:
    """The hook hears of the account's jobs."""
    with harness.db.write() as tx:
        spec = SubscriptionSpec("webhook", url)
        subscribe(tx, harness.wiring.encryptor, harness.account.id, spec, harness.clock())


def succeed(harness: Harness, job: Job) -> None:
    """The job ends with a video that is still to be copied, and tells who listens."""
    outcome = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/a.mp4")
    with harness.db.write() as tx:
        record_outcome(tx, harness.wiring.settings, job, outcome, "poll", harness.clock())


def test_by_age(harness: Harness, client: FlaskClient) -> None:
    """A video goes after its days, file and poster too; its link says why, its job stays."""
    old = kept_video(harness, ended_job(harness))
    harness.clock.advance(29 * DAY)
    young = kept_video(harness, ended_job(harness))
    assert [] == delete_all(harness)
    harness.clock.advance(1.1 * DAY)
    assert [old.id] == delete_all(harness)
    harness.drain("remove")
    job = client.get(f"/v1/jobs/{old.job_id}").get_json()
    answer = client.get(path_of(harness, old), headers={"Accept": "application/json"})

    assert sorted([young.file or "", young.poster_file or ""]) == files(harness)
    assert (410, True) == (answer.status_code, "kept for 30 days" in answer.get_json()["detail"])
    assert 410 == client.get(path_of(harness, old) + "/poster.jpg").status_code
    assert ("succeeded", None, None, None) == (
        job["state"],
        *(job["video"][name] for name in ("url", "download_url", "poster_url")),
    )
    assert job["video"]["deleted_at"] and SIZE == job["video"]["bytes"]
    shown = client.get(f"/v1/jobs/{young.job_id}").get_json()["video"]
    assert (True, None) == (bool(shown["url"]), shown["deleted_at"])


def test_by_quota(harness: Harness) -> None:
    """Of an account above its quota the oldest go, no more than needed; of others none."""
    videos = []
    for _ in range(5):
        videos.append(kept_video(harness, ended_job(harness)))
        harness.clock.advance(60)
    harness.account, _ = harness.new_account("bob")
    other = kept_video(harness, ended_job(harness))

    assert [videos[0].id, videos[1].id] == delete_all(harness)
    assert VideoState.STORED is now_as(harness, videos[2]).state
    assert VideoState.STORED is now_as(harness, other).state


def test_quota_counts_what_age_takes(harness: Harness) -> None:
    """What goes by its age is not asked for twice."""
    videos = [kept_video(harness, ended_job(harness)) for _ in range(2)]
    harness.clock.advance(31 * DAY)
    videos += [kept_video(harness, ended_job(harness)) for _ in range(3)]
    with harness.db.read() as tx:
        found = expired_videos(tx, harness.wiring.settings, harness.clock())

    assert {video.id for video in videos[:2]} == {one.video.id for one in found}


def test_undelivered_is_kept(harness: Harness) -> None:
    """However old and however much: a video that somebody still waits for stays."""
    with Hook() as hook:
        subscribed(harness, hook.url)
        videos = []
        for _ in range(4):
            job = harness.new_job()
            succeed(harness, job)
            with harness.db.write() as tx:
                waiting = store.videos.of_job(tx, job.id)
                assert waiting is not None
                changes = {"state": VideoState.STORED, "bytes": 2 * SIZE, "due_at": None}
                store.videos.change(tx, waiting.id, stored_at=harness.clock(), **changes)
            videos.append(waiting)
        harness.clock.advance(31 * DAY)
        assert ([], 0) == (
            delete_all(harness),
            purge_rows(harness.db, harness.wiring.settings, harness.clock()),
        )
        harness.drain("deliver")

    assert 4 == len(hook.hits)
    assert {video.id for video in videos} == set(delete_all(harness))


@pytest.mark.parametrize("settings_given", [{}])
def test_without_limits(harness: Harness) -> None:
    """Without a setting all is kept for good."""
    kept_video(harness, ended_job(harness))
    harness.clock.advance(10_000 * DAY)
    Maintenance(harness.wiring).run_once()
    harness.drain("remove")

    assert 2 == len(files(harness))
    with harness.db.read() as tx:
        assert 1 == len(store.events.newest(tx, harness.account.id, [EventType.JOB_SUCCEEDED], 9))


def test_struck_before_the_file_is_removed(harness: Harness, client: FlaskClient) -> None:
    """Struck after the row was deleted, the file is removed by the next; no link leads to it."""
    video = kept_video(harness, ended_job(harness))
    harness.clock.advance(31 * DAY)
    delete_all(harness)
    with harness.db.write() as tx:
        store.videos.claim_deleted(tx, harness.clock(), 60)
    assert 410 == client.get(path_of(harness, video)).status_code
    assert (2, False) == (len(files(harness)), harness.unit("remove"))
    harness.clock.advance(61)
    harness.drain("remove")

    assert ([], None, None) == (
        files(harness),
        now_as(harness, video).file,
        now_as(harness, video).due_at,
    )


def test_struck_after_the_file_was_removed(harness: Harness) -> None:
    """Struck before that was written down, removing once more does no harm."""
    video = kept_video(harness, ended_job(harness))
    harness.clock.advance(31 * DAY)
    delete_all(harness)
    harness.wiring.storage.delete(video.file or "")
    harness.drain("remove")

    assert ([], None) == (files(harness), now_as(harness, video).file)


def test_old_rows(harness: Harness, client: FlaskClient) -> None:
    """Old events, deliveries, attempts and callbacks go; jobs, and all that is young, stay."""
    with Hook() as hook:
        subscribed(harness, hook.url)
        old = finished_job(harness)
        harness.clock.advance(31 * DAY)
        young = finished_job(harness)
        harness.drain("number")
        while purge_rows(harness.db, harness.wiring.settings, harness.clock()):
            pass

    with harness.db.read() as tx:
        trails = {job.id: trail(tx, job) for job in (old, young)}
        assert 2 == len(store.job_lists.page(tx, harness.account.id, 9))
    assert [0, 0, 0, 0] == trails[old.id]
    assert [1, 1, 1, 1] == trails[young.id]
    feed = client.get("/v1/events").get_json()["data"]
    assert [(2, young.id)] == [(event["seq"], event["data"]["id"]) for event in feed]
    assert 410 == client.get("/v1/events?after=0").status_code
    assert 200 == client.get("/v1/events?after=1").status_code


def finished_job(harness: Harness) -> Job:
    """A job that has ended by a callback, and was reported."""
    job = harness.new_job()
    body = b'{"taskId": "t1"}'
    harness.wiring.ingest.insert(job.id, job.provider, {}, body, harness.clock())
    with harness.db.write() as tx:
        for callback in store.callbacks.of_job(tx, job.id):
            store.callbacks.settle_claimed(tx, callback, state="processed", due_at=None)
    succeed(harness, job)
    harness.clock.advance(31)
    harness.drain("deliver")
    return job


def trail(tx: Any, job: Job) -> list[int]:
    """How many events, attempts and callbacks there are of a job."""
    deliveries = [delivery.id for delivery in store.deliveries.of_job(tx, job.id)]
    return [
        len(store.events.of_job(tx, job.id)),
        len(store.deliveries.all_attempts(tx, deliveries)),
        len(store.deliveries.all_exchanges(tx, deliveries)),
        len(store.callbacks.of_job(tx, job.id)),
    ]


def test_job_that_goes_on_keeps_its_events(harness: Harness) -> None:
    """The events of a job that has not ended, or of late, are counted on: they stay."""
    for job in (harness.new_job("open"), ended_job(harness, "late")):
        with harness.db.write() as tx:
            kind = EventType.JOB_SUBMITTED
            store.events.insert_for_job(tx, job.account_id, job.id, kind, harness.clock())
    harness.clock.advance(40 * DAY)
    with harness.db.write() as tx:
        kind = EventType.VIDEO_EXPIRING
        store.events.insert_for_job(tx, job.account_id, job.id, kind, harness.clock())
    harness.drain("number")

    assert 0 == purge_rows(harness.db, harness.wiring.settings, harness.clock())


def test_sweep(harness: Harness) -> None:
    """Images whose links have ended and leftovers of writes go; young ones and videos stay."""
    storage, video = harness.wiring.storage, kept_video(harness)
    names = []
    for days in (0, 20, 11):
        harness.clock.advance(days * DAY)
        names.append(f"{new_id('img', harness.clock())}.png")
        with storage.writing(names[-1]) as file:
            file.write(b"x")
    left = storage.folder / "ab" / f"{names[0]}.dead.part"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    os.utime(left, (1_000_000_000, 1_000_000_000))

    assert 2 == delete_orphans(storage, harness.wiring.settings, harness.clock())
    assert sorted([*names[1:], video.file or "", video.poster_file or ""]) == files(harness)


def test_maintenance(harness: Harness) -> None:
    """The worker does all of it by itself."""
    kept_video(harness, ended_job(harness))
    harness.drain("number")
    image = f"{new_id('img', harness.clock())}.png"
    with harness.wiring.storage.writing(image):
        pass
    harness.clock.advance(31 * DAY)
    Maintenance(harness.wiring).run_once()
    harness.drain("remove")

    assert [] == files(harness)
    with harness.db.read() as tx:
        assert (2, 1) == store.events.feed_ends(tx, harness.account.id)


SECRET = "Xanadu"


def everything(harness: Harness, *but: str) -> str:
    """All rows of all tables as text."""
    with harness.db.read() as tx:
        tables = [table for table in metadata.sorted_tables if table.name not in but]
        return "\n".join(str(row) for table in tables for row in tx.execute(select(table)))


def test_erase(harness: Harness, client: FlaskClient) -> None:
    """Nothing anywhere says any more what it was about; that it was and what it cost stays."""
    image = base64.b64encode(png("red")).decode()
    body = {
        "model": "kling-2.5-turbo",
        "input": {"prompt": SECRET, "image_url": image},
        "metadata": {"for": SECRET},
    }
    with Hook() as hook:
        subscribed(harness, hook.url)
        job_id = client.post("/v1/jobs", json=body).get_json()["id"]
        with harness.db.read() as tx:
            job = store.jobs.find(tx, job_id)
        assert job is not None
        headers, said = {"x": SECRET}, SECRET.encode()
        harness.wiring.ingest.insert(job.id, job.provider, headers, said, harness.clock())
        error = job_error("PROVIDER_ERROR", f"cannot make {SECRET}", SECRET)
        outcome = Outcome(TaskState.FAILED, error=error, cost=0.5)
        with harness.db.write() as tx:
            record_outcome(tx, harness.wiring.settings, job, outcome, "poll", harness.clock())
        harness.drain("deliver")
    before = everything(harness)
    assert before.count(SECRET) > 5
    assert 1 == len(files(harness))
    answer = client.delete(f"/v1/jobs/{job_id}")

    assert (204, b"") == (answer.status_code, answer.data)
    assert (0, []) == (everything(harness).count(SECRET), files(harness))
    shown = client.get(f"/v1/jobs/{job_id}").get_json()
    assert ("failed", {}, {}, "PROVIDER_ERROR", 0.5) == (
        shown["state"],
        shown["input"],
        shown["metadata"],
        shown["error"]["code"],
        shown["cost"]["actual"],
    )
    for kind, action in (("deliveries", "resend"), ("callbacks", "replay")):
        (row,) = client.get(f"/v1/{kind}?job_id={job_id}").get_json()["data"]
        refused = client.post(f"/v1/{kind}/{row['id']}/{action}")
        assert (409, True) == (refused.status_code, job_id in refused.get_json()["detail"])
        assert row == client.get(f"/v1/{kind}?job_id={job_id}").get_json()["data"][0]
    assert 204 == client.delete(f"/v1/jobs/{job_id}").status_code
    assert 200 == client.get(f"/v1/jobs/{job_id}/timeline").status_code
    harness.drain("number")
    assert 1 == len(client.get("/v1/events").get_json()["data"])


def test_erase_an_image_of_two_jobs(harness: Harness, client: FlaskClient) -> None:
    """An image that another job uses, too, stays until the last of them is erased."""
    image = base64.b64encode(png("red")).decode()
    body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox", "image_urls": [image]}}
    first = client.post("/v1/jobs", json=body).get_json()
    body = {
        "model": "kling-2",
        "input": {"prompt": "B", "start_image": first["input"]["image_urls"][0]},
    }
    second = client.post("/v1/jobs", json=body).get_json()
    kept = []
    for job in (first, second):
        client.post(f"/v1/jobs/{job['id']}/cancel")
        assert 204 == client.delete(f"/v1/jobs/{job['id']}").status_code
        kept.append(len(files(harness)))

    assert [1, 0] == kept


def test_erase_video(harness: Harness, client: FlaskClient) -> None:
    """The video goes with the job, file and provider's link; its own link says so."""
    video = kept_video(harness, ended_job(harness))
    erase_job(
        harness.db, harness.wiring.uploads, harness.job(ended(harness, video)), harness.clock()
    )
    harness.drain("remove")
    answer = client.get(path_of(harness, video), headers={"Accept": "application/json"})

    assert ([], None, None) == (
        files(harness),
        now_as(harness, video).provider_url,
        now_as(harness, video).sha256,
    )
    assert (410, True) == (answer.status_code, "on request" in answer.get_json()["detail"])


def ended(harness: Harness, video: Video) -> Job:
    """The video's job."""
    with harness.db.read() as tx:
        job = store.jobs.find(tx, video.job_id)
    assert job is not None
    return job


def test_films_of_another_kind(harness: Harness) -> None:
    """A deleted film is removed with its poster, whatever its kind."""
    video = kept_video(harness, ended_job(harness), kind="webm")
    erase_job(harness.db, harness.wiring.uploads, ended(harness, video), harness.clock())
    harness.drain("remove")

    assert [] == files(harness)


@pytest.mark.parametrize("kind", ["mp4", "webm", "mov"])
def test_erase_while_it_is_copied(harness: Harness, kind: str) -> None:
    """A copy that is under way settles nothing, and what it leaves is removed after it."""
    job = harness.new_job()
    succeed(harness, job)
    with harness.db.write() as tx:
        copying = store.videos.claim_pending(tx, harness.clock(), LEASE_SECONDS)
    assert copying is not None
    erase_job(harness.db, harness.wiring.uploads, job, harness.clock())
    with harness.wiring.storage.writing(f"{copying.id}.{kind}") as file:
        file.write(MOVIE)
    downloads = harness.wiring.settings.data_dir / "downloads"
    with opened(downloads, copying.id, harness.clock()) as download:
        download.write(MOVIE)
    with harness.db.write() as tx:
        assert not store.videos.settle_claimed(tx, copying, state=VideoState.STORED)
    assert not harness.unit("remove")
    harness.clock.advance(LEASE_SECONDS + 1)
    harness.drain("remove")

    assert (VideoState.DELETED, []) == (now_as(harness, copying).state, files(harness))
    assert [] == list(downloads.iterdir())


def test_erase_before_the_end(harness: Harness, client: FlaskClient) -> None:
    """A job that goes on cannot be forgotten yet."""
    job = harness.new_job()
    answer = client.delete(f"/v1/jobs/{job.id}")

    assert 409 == answer.status_code
    assert "cancel it" in answer.get_json()["detail"]
    assert job == harness.job(job)
    with pytest.raises(Conflict):
        erase_job(harness.db, harness.wiring.uploads, job, harness.clock())


def test_erase_needs_the_right_key(harness: Harness, client: FlaskClient) -> None:
    """Another account's job is not there, and a key without the scope may not."""
    job = ended_job(harness)
    _, foreign = harness.new_account("charlie")
    with harness.db.write() as tx:
        submits = create_key(tx, harness.account.id, "k", ("read", "submit"), harness.clock())
    path = f"/v1/jobs/{job.id}"

    assert 404 == client.delete(path, headers={"x-api-key": foreign}).status_code
    assert 403 == client.delete(path, headers={"x-api-key": submits}).status_code
    assert job == harness.job(job)


def test_page_of_a_deleted_video(harness: Harness) -> None:
    """The dashboard says what became of it instead of a player and a link."""
    video = kept_video(harness, ended_job(harness))
    harness.clock.advance(31 * DAY)
    delete_all(harness)
    with harness.db.read() as tx:
        key = store.accounts.keys(tx, harness.account.id)[0]
    browser = create_app(harness.wiring).test_client()
    browser.get(login_url("", ["k" * 40], key.id, harness.clock()))
    page = browser.get(f"/jobs/{video.job_id}").get_data(as_text=True)

    assert "no longer stored: videos are kept for 30 days." in page
    assert "<video" not in page and path_of(harness, video) not in page
