"""A new version, and the old one again, while jobs and callbacks come in: nothing is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.callback_load import CallbackLoad
from support.processes import children_of
from support.releases import NEXT, NEXT_VERSION, Release
from support.sandboxes import start_sandbox
from support.servers import Clipbell, eventually

from service import __version__

pytestmark = pytest.mark.postgresql


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """This version, installed."""
    return Release(tmp_path / "release")


@pytest.fixture
def clipbell(bare_url: str, release: Release, tmp_path: Path) -> Iterator[Clipbell]:
    """Web and worker of that installation, and a sandbox."""
    with (
        start_sandbox(tmp_path / "provider", credits=1e6) as provider,
        Clipbell(tmp_path / "site", provider.url, database_url=bare_url) as made,
    ):
        # Two installations in one second would look the same to it.
        made.environ |= {"PYTHONDONTWRITEBYTECODE": "1"}
        yield made


def version_of(clipbell: Clipbell) -> str:
    """Which version answers."""
    found: str = clipbell.call("GET", "/openapi.json").json()["info"]["version"]
    return found


def assert_whole(clipbell: Clipbell, prompt: str) -> None:
    """The service is ready, and a job comes to its end."""
    assert 200 == clipbell.call("GET", "/readyz").status
    clipbell.await_state(clipbell.submit(prompt)["id"], "succeeded")


def take_over(clipbell: Clipbell, release: Release, master: int, version: str) -> int:
    """What is installed now serves beside the old master, which then stops; the new master."""
    before = children_of(master)
    os.kill(master, signal.SIGUSR2)
    new = eventually(lambda: set(children_of(master)) - set(before)).pop()
    eventually(lambda: children_of(new))
    os.kill(master, signal.SIGTERM)
    eventually(lambda: version_of(clipbell) == version)
    clipbell.stop("worker")
    clipbell.spawn_fresh("worker", release.program, "worker")
    return new


@pytest.mark.slow
def test_upgrade_and_rollback(clipbell: Clipbell, release: Release) -> None:
    """The old version works on the new schema, so each replaces the other under load."""
    clipbell.spawn_fresh("serve", release.program, *clipbell.serving)
    clipbell.spawn_fresh("worker", release.program, "worker")
    eventually(clipbell.answers)
    first = clipbell.submit("A fox")
    old = clipbell.pid("serve")
    with CallbackLoad(clipbell.port, clipbell.callback_path(first["id"]), callers=2) as load:
        eventually(lambda: clipbell.call("GET", "/readyz").status == 200)

        release.install_next()
        migrated = release.run("migrate", environ=clipbell.environ)
        assert_whole(clipbell, "An old fox on the new schema")
        new = take_over(clipbell, release, old, NEXT_VERSION)
        assert_whole(clipbell, "A new fox")

        release.install_this()
        left = release.run("migrate", environ=clipbell.environ)
        back = take_over(clipbell, release, new, __version__)
        assert_whole(clipbell, "An old fox again")
        load.more(20)
    os.kill(back, signal.SIGTERM)
    eventually(lambda: not clipbell.answers())

    assert [] == load.failures
    assert f"The schema is at {NEXT}, was {release.head}." == migrated.stdout.strip()
    assert (0, f"The schema is at {NEXT}.") == (left.returncode, left.stdout.strip())


def test_too_old_for_the_schema(clipbell: Clipbell, release: Release) -> None:
    """Where the new schema is of no use to it, the old version says so and touches nothing."""
    release.install_next(breaks=True)
    assert 0 == release.run("migrate", environ=clipbell.environ).returncode
    release.install_this()
    said = [release.run(*words, environ=clipbell.environ) for words in (["migrate"], ["jobs"])]

    assert [1, 1] == [one.returncode for one in said]
    trouble = f"a newer version brought the database to {NEXT}, past {release.head}"
    assert all(trouble in one.stderr for one in said), said
