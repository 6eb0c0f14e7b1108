"""`videos` and `delete` as real processes, over a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets
from support.factories import kept_video
from support.harness import Harness, TestClock
from support.servers import Clipbell

from service import store
from service.bootstrap import build
from service.model import JobState, Video
from service.settings import load_settings

DAY = timedelta(days=1)


@pytest.fixture
def clipbell(tmp_path: Path, buckets: Buckets) -> Iterator[Clipbell]:
    """A service that keeps videos for ten days, in a bucket; nothing is running."""
    settings = {"storage_url": f"s3://{buckets.new()}/clips", "retention_days": "10"}
    with Clipbell(tmp_path, "http://127.0.0.1:9", **settings) as made:
        yield made


@pytest.fixture
def harness(clipbell: Clipbell) -> Iterator[Harness]:
    """The same service and its first account, in this process."""
    wiring, clock = build(load_settings(clipbell.environ)), TestClock()
    clock.now = wiring.clock()
    made = Harness(wiring, clock)
    with wiring.db.read() as tx:
        made.account = store.accounts.first(tx) or made.account
    yield made
    wiring.close()


def video(harness: Harness, days: int, prompt: str) -> Video:
    """A video that was stored so many days ago, its job ended."""
    harness.clock.now = harness.wiring.clock() - days * DAY
    job = harness.new_job(prompt)
    with harness.db.write() as tx:
        store.jobs.end(tx, job.id, harness.clock(), state=JobState.SUCCEEDED)
    return kept_video(harness, job)


def shown(clipbell: Clipbell, *arguments: str) -> Any:
    """What a verb prints for programs."""
    return json.loads(clipbell.run(*arguments, "--json").stdout)


def test_list_and_prune(clipbell: Clipbell, harness: Harness) -> None:
    """A dry run names what would go and touches nothing; then just that goes, file and all."""
    old, young = video(harness, 11, "old"), video(harness, 9, "young")
    dry = shown(clipbell, "videos", "prune", "--dry-run")
    assert [(old.id, "videos are kept for 10 days")] == [
        (one["id"], one["reason"]) for one in dry["videos"]
    ]
    assert 4 == len(list(harness.wiring.storage.names("vid")))
    said = clipbell.run("videos", "prune").stdout
    listed = {row["id"]: row["state"] for row in shown(clipbell, "videos", "list")}

    assert "Videos that were deleted: 1" in said
    assert {old.id: "deleted", young.id: "stored"} == listed
    assert {young.file, young.poster_file} == set(harness.wiring.storage.names("vid"))
    assert [] == shown(clipbell, "videos", "prune")["videos"]
    assert " deleted " in clipbell.run("videos", "list").stdout


def test_delete(clipbell: Clipbell, harness: Harness) -> None:
    """One job is forgotten, when asked for by name and with a yes; there is no second guess."""
    kept = video(harness, 1, "Xanadu")
    refused = clipbell.run("delete", kept.job_id, code=1)
    assert ("", True) == (refused.stdout.strip(), "nothing was done" in refused.stderr)
    assert "Xanadu" in clipbell.run("jobs").stdout
    clipbell.run("delete", kept.job_id, "--yes")

    assert "Xanadu" not in clipbell.run("jobs").stdout
    assert "Xanadu" not in clipbell.run("show", kept.job_id, "--json").stdout
    head, *lines = clipbell.run("show", kept.job_id).stdout.splitlines()
    assert kept.job_id in head and "The video is no longer stored." == lines[0]
    assert lines[1].startswith("at (UTC)")
    assert [] == list(harness.wiring.storage.names("vid"))
    assert "clipbell jobs" in clipbell.run("delete", "job_nobody", "--yes", code=1).stderr
