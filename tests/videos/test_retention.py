"""What is not kept: old videos and rows go, nothing undelivered does, and one job on request."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from conftest import Bench
from flask.testing import FlaskClient
from sqlalchemy import select
from support.factories import MOVIE, kept_video, path_of
from support.sandboxes import png
from support.servers import Hook

from service import store
from service.accounts import create_key
from service.deliveries.subscriptions import SubscriptionSpec, subscribe
from service.errors import Conflict
from service.jobs.outcomes import record_outcome
from service.model import EventType, Job, JobState, Outcome, TaskState, Video, VideoState, new_id
from service.model.error_codes import job_error
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
from service.worker import Maintenance

pytestmark = pytest.mark.postgresql

DAY = 86_400.0
SIZE = len(MOVIE)


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Thirty days, and room for three videos of an account."""
    return {"retention_days": 30, "quota_bytes": 3 * SIZE}


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """The doors, with alice's key."""
    client = create_app(bench.wiring).test_client()
    client.environ_base["HTTP_X_API_KEY"] = bench.key
    return client


def ended_job(bench: Bench, prompt: str = "A fox", **body: Any) -> Job:
    """A job that has succeeded, without a video yet."""
    job = bench.new_job(prompt, **body)
    with bench.db.write() as tx:
        store.jobs.end(tx, job.id, bench.clock(), state=JobState.SUCCEEDED, resolved_by="poll")
        store.events.insert_for_job(
            tx, job.account_id, job.id, EventType.JOB_SUCCEEDED, bench.clock()
        )
        store.jobs.add_step(tx, job.id, "succeeded", f"made {prompt}", bench.clock())
    return bench.job(job)


def now_as(bench: Bench, video: Video) -> Video:
    """The video as it is now."""
    with bench.db.read() as tx:
        found = store.videos.find(tx, video.id)
    assert found is not None
    return found


def files(bench: Bench) -> list[str]:
    """All that lies in storage."""
    return sorted(p.name for p in bench.wiring.storage.folder.rglob("*") if p.is_file())


def delete_all(bench: Bench) -> list[str]:
    """Delete until nothing is left; the ids."""
    found = []
    while batch := delete_expired(bench.db, bench.wiring.settings, bench.clock()):
        found += [one.video.id for one in batch]
    return found


def subscribed(bench: Bench, url: str) -> None:
    """The hook hears of the account's jobs."""
    with bench.db.write() as tx:
        spec = SubscriptionSpec("webhook", url)
        subscribe(tx, bench.wiring.encryptor, bench.account.id, spec, bench.clock())


def succeed(bench: Bench, job: Job) -> None:
    """The job ends with a video that is still to be copied, and tells who listens."""
    outcome = Outcome(TaskState.SUCCEEDED, result_url="http://127.0.0.1:9/a.mp4")
    with bench.db.write() as tx:
        record_outcome(tx, bench.wiring.settings, job, outcome, "poll", bench.clock())


def test_by_age(bench: Bench, client: FlaskClient) -> None:
    """A video goes after its days, file and poster too; its link says why, its job stays."""
    old = kept_video(bench, ended_job(bench))
    bench.clock.advance(29 * DAY)
    young = kept_video(bench, ended_job(bench))
    assert [] == delete_all(bench)
    bench.clock.advance(1.1 * DAY)
    assert [old.id] == delete_all(bench)
    bench.drain("remove")
    job = client.get(f"/v1/jobs/{old.job_id}").get_json()
    answer = client.get(path_of(bench, old), headers={"Accept": "application/json"})

    assert sorted([young.file or "", young.poster_file or ""]) == files(bench)
    assert (410, True) == (answer.status_code, "kept for 30 days" in answer.get_json()["detail"])
    assert 410 == client.get(path_of(bench, old) + "/poster.jpg").status_code
    assert ("succeeded", None, None, None) == (
        job["state"],
        *(job["video"][name] for name in ("url", "download_url", "poster_url")),
    )
    assert job["video"]["deleted_at"] and SIZE == job["video"]["bytes"]
    shown = client.get(f"/v1/jobs/{young.job_id}").get_json()["video"]
    assert (True, None) == (bool(shown["url"]), shown["deleted_at"])


def test_by_quota(bench: Bench) -> None:
    """Of an account above its quota the oldest go, no more than needed; of others none."""
    videos = []
    for _ in range(5):
        videos.append(kept_video(bench, ended_job(bench)))
        bench.clock.advance(60)
    bench.account, _ = bench.new_account("bob")
    other = kept_video(bench, ended_job(bench))

    assert [videos[0].id, videos[1].id] == delete_all(bench)
    assert VideoState.STORED is now_as(bench, videos[2]).state
    assert VideoState.STORED is now_as(bench, other).state


def test_quota_counts_what_age_takes(bench: Bench) -> None:
    """What goes by its age is not asked for twice."""
    videos = [kept_video(bench, ended_job(bench)) for _ in range(2)]
    bench.clock.advance(31 * DAY)
    videos += [kept_video(bench, ended_job(bench)) for _ in range(3)]
    with bench.db.read() as tx:
        found = expired_videos(tx, bench.wiring.settings, bench.clock())

    assert {video.id for video in videos[:2]} == {one.video.id for one in found}


def test_undelivered_is_kept(bench: Bench) -> None:
    """However old and however much: a video that somebody still waits for stays."""
    with Hook() as hook:
        subscribed(bench, hook.url)
        videos = []
        for _ in range(4):
            job = bench.new_job()
            succeed(bench, job)
            with bench.db.write() as tx:
                waiting = store.videos.of_job(tx, job.id)
                assert waiting is not None
                changes = {"state": VideoState.STORED, "bytes": 2 * SIZE, "due_at": None}
                store.videos.change(tx, waiting.id, stored_at=bench.clock(), **changes)
            videos.append(waiting)
        bench.clock.advance(31 * DAY)
        assert ([], 0) == (
            delete_all(bench),
            purge_rows(bench.db, bench.wiring.settings, bench.clock()),
        )
        bench.drain("deliver")

    assert 4 == len(hook.hits)
    assert {video.id for video in videos} == set(delete_all(bench))


@pytest.mark.parametrize("settings_given", [{}])
def test_without_limits(bench: Bench) -> None:
    """Without a setting all is kept for good."""
    kept_video(bench, ended_job(bench))
    bench.clock.advance(10_000 * DAY)
    Maintenance(bench.wiring).run_once()
    bench.drain("remove")

    assert 2 == len(files(bench))
    with bench.db.read() as tx:
        assert 1 == len(store.events.newest(tx, bench.account.id, [EventType.JOB_SUCCEEDED], 9))


def test_struck_before_the_file_is_removed(bench: Bench, client: FlaskClient) -> None:
    """Struck after the row was deleted, the file is removed by the next; no link leads to it."""
    video = kept_video(bench, ended_job(bench))
    bench.clock.advance(31 * DAY)
    delete_all(bench)
    with bench.db.write() as tx:
        store.videos.claim_deleted(tx, bench.clock(), 60)
    assert 410 == client.get(path_of(bench, video)).status_code
    assert (2, False) == (len(files(bench)), bench.unit("remove"))
    bench.clock.advance(61)
    bench.drain("remove")

    assert ([], None, None) == (
        files(bench),
        now_as(bench, video).file,
        now_as(bench, video).due_at,
    )


def test_struck_after_the_file_was_removed(bench: Bench) -> None:
    """Struck before that was written down, removing once more does no harm."""
    video = kept_video(bench, ended_job(bench))
    bench.clock.advance(31 * DAY)
    delete_all(bench)
    bench.wiring.storage.delete(video.file or "")
    bench.drain("remove")

    assert ([], None) == (files(bench), now_as(bench, video).file)


def test_old_rows(bench: Bench, client: FlaskClient) -> None:
    """Old events, deliveries, attempts and callbacks go; jobs, and all that is young, stay."""
    with Hook() as hook:
        subscribed(bench, hook.url)
        old = told_job(bench)
        bench.clock.advance(31 * DAY)
        young = told_job(bench)
        bench.drain("number")
        while purge_rows(bench.db, bench.wiring.settings, bench.clock()):
            pass

    with bench.db.read() as tx:
        trails = {job.id: trail(tx, job) for job in (old, young)}
        assert 2 == len(store.jobs.page(tx, bench.account.id, 9))
    assert [0, 0, 0] == trails[old.id]
    assert [1, 1, 1] == trails[young.id]
    feed = client.get("/v1/events").get_json()["data"]
    assert [(2, young.id)] == [(event["seq"], event["data"]["id"]) for event in feed]
    assert 410 == client.get("/v1/events?after=0").status_code
    assert 200 == client.get("/v1/events?after=1").status_code


def told_job(bench: Bench) -> Job:
    """A job that has ended by a callback, and was told."""
    job = bench.new_job()
    body = b'{"taskId": "t1"}'
    bench.wiring.ingest.insert(job.id, job.provider, {}, body, bench.clock())
    with bench.db.write() as tx:
        for callback in store.callbacks.of_job(tx, job.id):
            store.callbacks.settle_claimed(tx, callback, state="processed", due_at=None)
    succeed(bench, job)
    bench.clock.advance(31)
    bench.drain("deliver")
    return job


def trail(tx: Any, job: Job) -> list[int]:
    """How many events, attempts and callbacks there are of a job."""
    deliveries = [delivery.id for delivery in store.deliveries.of_job(tx, job.id)]
    return [
        len(store.events.of_job(tx, job.id)),
        len(store.deliveries.all_attempts(tx, deliveries)),
        len(store.callbacks.of_job(tx, job.id)),
    ]


def test_job_that_goes_on_keeps_its_events(bench: Bench) -> None:
    """The events of a job that has not ended, or of late, are counted on: they stay."""
    for job in (bench.new_job("open"), ended_job(bench, "late")):
        with bench.db.write() as tx:
            kind = EventType.JOB_SUBMITTED
            store.events.insert_for_job(tx, job.account_id, job.id, kind, bench.clock())
    bench.clock.advance(40 * DAY)
    with bench.db.write() as tx:
        kind = EventType.VIDEO_EXPIRING
        store.events.insert_for_job(tx, job.account_id, job.id, kind, bench.clock())
    bench.drain("number")

    assert 0 == purge_rows(bench.db, bench.wiring.settings, bench.clock())


def test_sweep(bench: Bench) -> None:
    """Images whose links have ended and leftovers of writes go; young ones and videos stay."""
    storage, video = bench.wiring.storage, kept_video(bench)
    names = []
    for days in (0, 20, 11):
        bench.clock.advance(days * DAY)
        names.append(f"{new_id('img', bench.clock())}.png")
        with storage.writing(names[-1]) as file:
            file.write(b"x")
    left = storage.folder / "ab" / f"{names[0]}.dead.part"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    os.utime(left, (1_000_000_000, 1_000_000_000))

    assert 2 == delete_orphans(storage, bench.wiring.settings, bench.clock())
    assert sorted([*names[1:], video.file or "", video.poster_file or ""]) == files(bench)


def test_housekeeper(bench: Bench) -> None:
    """The worker does all of it by itself."""
    kept_video(bench, ended_job(bench))
    bench.drain("number")
    image = f"{new_id('img', bench.clock())}.png"
    with bench.wiring.storage.writing(image):
        pass
    bench.clock.advance(31 * DAY)
    Maintenance(bench.wiring).run_once()
    bench.drain("remove")

    assert [] == files(bench)
    with bench.db.read() as tx:
        assert (2, 1) == store.events.feed_ends(tx, bench.account.id)


SECRET = "Xanadu"


def everything(bench: Bench, *but: str) -> str:
    """All rows of all tables as text."""
    with bench.db.read() as tx:
        tables = [table for table in metadata.sorted_tables if table.name not in but]
        return "\n".join(str(row) for table in tables for row in tx.execute(select(table)))


def test_erase(bench: Bench, client: FlaskClient) -> None:
    """Nothing anywhere says any more what it was about; that it was and what it cost stays."""
    image = base64.b64encode(png("red")).decode()
    body = {
        "model": "kling-2.5-turbo",
        "input": {"prompt": SECRET, "image_url": image},
        "metadata": {"for": SECRET},
    }
    with Hook() as hook:
        subscribed(bench, hook.url)
        job_id = client.post("/v1/jobs", json=body).get_json()["id"]
        with bench.db.read() as tx:
            job = store.jobs.find(tx, job_id)
        assert job is not None
        headers, said = {"x": SECRET}, SECRET.encode()
        bench.wiring.ingest.insert(job.id, job.provider, headers, said, bench.clock())
        error = job_error("PROVIDER_ERROR", f"cannot make {SECRET}", SECRET)
        outcome = Outcome(TaskState.FAILED, error=error, cost=0.5)
        with bench.db.write() as tx:
            record_outcome(tx, bench.wiring.settings, job, outcome, "poll", bench.clock())
        bench.drain("deliver")
    before = everything(bench)
    assert before.count(SECRET) > 5
    assert 1 == len(files(bench))
    answer = client.delete(f"/v1/jobs/{job_id}")

    assert (204, b"") == (answer.status_code, answer.data)
    assert (0, []) == (everything(bench).count(SECRET), files(bench))
    shown = client.get(f"/v1/jobs/{job_id}").get_json()
    assert ("failed", {}, {}, "PROVIDER_ERROR", 0.5) == (
        shown["state"],
        shown["input"],
        shown["metadata"],
        shown["error"]["code"],
        shown["cost"]["actual"],
    )
    assert 204 == client.delete(f"/v1/jobs/{job_id}").status_code
    assert 200 == client.get(f"/v1/jobs/{job_id}/timeline").status_code
    bench.drain("number")
    assert 1 == len(client.get("/v1/events").get_json()["data"])


def test_erase_video(bench: Bench, client: FlaskClient) -> None:
    """The video goes with the job, file and provider's link; its own link says so."""
    video = kept_video(bench, ended_job(bench))
    erase_job(bench.db, bench.wiring.uploads, bench.job(ended(bench, video)), bench.clock())
    bench.drain("remove")
    answer = client.get(path_of(bench, video), headers={"Accept": "application/json"})

    assert ([], None, None) == (
        files(bench),
        now_as(bench, video).provider_url,
        now_as(bench, video).sha256,
    )
    assert (410, True) == (answer.status_code, "on request" in answer.get_json()["detail"])


def ended(bench: Bench, video: Video) -> Job:
    """The video's job."""
    with bench.db.read() as tx:
        job = store.jobs.find(tx, video.job_id)
    assert job is not None
    return job


def test_films_of_another_kind(bench: Bench) -> None:
    """A deleted film is removed with its poster, whatever its kind."""
    video = kept_video(bench, ended_job(bench), kind="webm")
    erase_job(bench.db, bench.wiring.uploads, ended(bench, video), bench.clock())
    bench.drain("remove")

    assert [] == files(bench)


@pytest.mark.parametrize("kind", ["mp4", "webm", "mov"])
def test_erase_while_it_is_copied(bench: Bench, kind: str) -> None:
    """A copy that is under way settles nothing, and what it leaves is removed after it."""
    job = bench.new_job()
    succeed(bench, job)
    with bench.db.write() as tx:
        copying = store.videos.claim_pending(tx, bench.clock(), LEASE_SECONDS)
    assert copying is not None
    erase_job(bench.db, bench.wiring.uploads, job, bench.clock())
    with bench.wiring.storage.writing(f"{copying.id}.{kind}") as file:
        file.write(MOVIE)
    downloads = bench.wiring.settings.data_dir / "downloads"
    with opened(downloads, copying.id, bench.clock()) as download:
        download.write(MOVIE)
    with bench.db.write() as tx:
        assert not store.videos.settle_claimed(tx, copying, state=VideoState.STORED)
    assert not bench.unit("remove")
    bench.clock.advance(LEASE_SECONDS + 1)
    bench.drain("remove")

    assert (VideoState.DELETED, []) == (now_as(bench, copying).state, files(bench))
    assert [] == list(downloads.iterdir())


def test_erase_before_the_end(bench: Bench, client: FlaskClient) -> None:
    """A job that goes on cannot be forgotten yet."""
    job = bench.new_job()
    answer = client.delete(f"/v1/jobs/{job.id}")

    assert 409 == answer.status_code
    assert "cancel it" in answer.get_json()["detail"]
    assert job == bench.job(job)
    with pytest.raises(Conflict):
        erase_job(bench.db, bench.wiring.uploads, job, bench.clock())


def test_erase_needs_the_right_key(bench: Bench, client: FlaskClient) -> None:
    """Another account's job is not there, and a key without the scope may not."""
    job = ended_job(bench)
    _, foreign = bench.new_account("charlie")
    with bench.db.write() as tx:
        submits = create_key(tx, bench.account.id, "k", ("read", "submit"), bench.clock())
    path = f"/v1/jobs/{job.id}"

    assert 404 == client.delete(path, headers={"x-api-key": foreign}).status_code
    assert 403 == client.delete(path, headers={"x-api-key": submits}).status_code
    assert job == bench.job(job)


def test_page_of_a_deleted_video(bench: Bench) -> None:
    """The dashboard says what became of it instead of a player and a link."""
    video = kept_video(bench, ended_job(bench))
    bench.clock.advance(31 * DAY)
    delete_all(bench)
    with bench.db.read() as tx:
        key = store.accounts.keys(tx, bench.account.id)[0]
    browser = create_app(bench.wiring).test_client()
    browser.get(login_url("", ["k" * 40], key.id, bench.clock()))
    page = browser.get(f"/jobs/{video.job_id}").get_data(as_text=True)

    assert "no longer kept: videos are kept for 30 days." in page
    assert "<video" not in page and path_of(bench, video) not in page
