"""What `/readyz` says: every trouble in words with its fix, and only vital ones stop it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.harness import Harness

from service import store
from service.model import JobState
from service.ops.health import FEW, Health, examine, glance
from service.storage import FileStorage
from service.storage.base import StorageError
from service.store.schema import jobs

pytestmark = pytest.mark.postgresql


@pytest.fixture
def harness(harness: Harness) -> Harness:
    """A harness on which a worker has just been seen."""
    with harness.db.write() as tx:
        store.work.beat(tx, "w1", harness.clock())
    return harness


def look(harness: Harness) -> Health:
    """The health of the harness."""
    w = harness.wiring
    return examine(harness.db, w.storage, w.providers, harness.clock())


def troubles(harness: Harness) -> dict[str, str]:
    """What is wrong, by check."""
    return {check.name: check.message for check in look(harness).checks if not check.ok}


def end_jobs(harness: Harness, *ways: str, provider: str = "apixo") -> None:
    """Ended jobs, whose ends were found in these ways."""
    for way in ways:
        job = harness.new_job(way)
        with harness.db.write() as tx:
            ended = jobs.update().filter_by(id=job.id)
            tx.execute(ended.values(state=JobState.SUCCEEDED, resolved_by=way, provider=provider))


def test_all_is_well(harness: Harness) -> None:
    """Without a trouble it is ready; there is nothing to say of callbacks yet."""
    assert ("ready", {}, None) == (
        look(harness).status,
        troubles(harness),
        look(harness).polled_share,
    )


def test_every_check_says_what_it_found(harness: Harness) -> None:
    """Also what is as it should be is named in words, with its figures."""
    end_jobs(harness, *["poll"] * 2, *["callback"] * 6)
    found = {check.name: check.message for check in look(harness).checks}

    assert "" not in found.values()
    assert "is alive" == found["worker"]
    assert "75 % of recent jobs were finished by one" == found["callbacks"]
    assert "free at" in found["disk"]


def test_no_worker(harness: Harness) -> None:
    """Without a worker for half a minute nothing would be worked on."""
    harness.clock.advance(31)

    assert "not ready" == look(harness).status
    assert "clipbell worker" in troubles(harness)["worker"]


def test_no_place_to_write(harness: Harness) -> None:
    """A folder that is none stops it, with the folder's name."""
    nowhere = FileStorage(harness.wiring.settings.data_dir / "file" / "folder")
    nowhere.folder.parent.parent.mkdir(parents=True, exist_ok=True)
    nowhere.folder.parent.write_text("a file, not a folder")
    found = examine(harness.db, nowhere, harness.wiring.providers, harness.clock())
    (storage,) = [check for check in found.checks if check.name == "storage"]

    assert "not ready" == found.status
    assert str(nowhere.folder) in storage.message


class Elsewhere(FileStorage):
    """A storage on another machine that does not answer."""

    remote = True

    def check(self) -> None:
        """Nothing comes back."""
        raise StorageError("no answer")


def test_a_glance_asks_nobody(harness: Harness) -> None:
    """Where a page cannot wait, a storage elsewhere is left out and all else looked at."""
    elsewhere = Elsewhere(harness.wiring.storage.folder)
    given = (harness.db, elsewhere, harness.wiring.providers, harness.clock())
    whole = [check.name for check in examine(*given).checks]

    assert ("degraded", "ready") == (examine(*given).status, glance(*given).status)
    assert [n for n in whole if n != "storage"] == [check.name for check in glance(*given).checks]


def test_held_provider(harness: Harness) -> None:
    """A hold is shown with its reason and the command that ends it; jobs are still taken."""
    with harness.db.write() as tx:
        store.providers.hold(tx, "apixo", "INSUFFICIENT_CREDITS: none left")

    assert "degraded" == look(harness).status
    assert (
        "apixo is held (INSUFFICIENT_CREDITS: none left): `clipbell resume apixo`"
        in (troubles(harness)["providers"])
    )


def test_absent_provider(harness: Harness) -> None:
    """A vendor that cannot be asked is shown with the time since when."""
    with harness.db.write() as tx:
        store.providers.record_error(tx, "apixo", "connection refused", harness.clock())
        store.providers.record_error(tx, "apixo", "timed out", harness.clock.advance(60))
        store.work.beat(tx, "w1", harness.clock())

    expected = "apixo is unreachable since 2026-01-01 12:00 UTC (timed out)"
    assert {"providers": expected} == troubles(harness)


@pytest.mark.parametrize(("seconds", "shown"), [(2, False), (900, True)])
def test_waiting_provider(harness: Harness, seconds: int, shown: bool) -> None:
    """A wait that a vendor asked for is shown with its end and the command that ends it."""
    with harness.db.write() as tx:
        store.providers.pause(tx, "apixo", harness.clock() + timedelta(seconds=seconds))
    report = "apixo gets no new job until 2026-01-01 12:15:00 UTC: `clipbell resume apixo`"

    assert ("degraded" if shown else "ready") == look(harness).status
    assert shown is (report in troubles(harness).get("providers", ""))


@pytest.mark.parametrize(
    ("seconds", "report"),
    [
        (1.9, ""),
        (-1.9, ""),
        (60.0, "the clock of w2 is 60 s behind; set it by NTP"),
        (-600.0, "the clock of w2 is 600 s ahead; set it by NTP"),
    ],
)
def test_clocks_apart(harness: Harness, seconds: float, report: str) -> None:
    """A worker whose clock differs from the database's is named; all goes on."""
    offset = timedelta(seconds=seconds)
    with harness.db.write() as tx:
        store.work.beat(tx, "w2", harness.clock(), offset=offset)

    assert report == troubles(harness).get("clock", "")
    assert ("degraded" if report else "ready") == look(harness).status


def test_row_aside(harness: Harness) -> None:
    """A row that was quarantined is named with its trouble."""
    job = harness.new_job()
    with harness.db.write() as tx:
        store.quarantine.put(tx, "jobs", job.id, job.claims, "no price", harness.clock())

    assert "degraded" == look(harness).status
    assert f"jobs {job.id}: no price" in troubles(harness)["rows"]


def test_callbacks_that_never_come(harness: Harness) -> None:
    """When every end had to be polled for, the public address is in doubt."""
    end_jobs(harness, *["poll"] * FEW, "answer", "operator")

    assert 1.0 == look(harness).polled_share
    assert "CLIPBELL_PUBLIC_URL" in troubles(harness)["callbacks"]


def test_some_callbacks_come(harness: Harness) -> None:
    """A share is reported, and is no trouble as long as some come."""
    end_jobs(harness, *["poll"] * 2, *["callback"] * 6)

    assert (0.25, {}) == (look(harness).polled_share, troubles(harness))


def test_models_that_are_always_polled(harness: Harness) -> None:
    """A vendor without callbacks says nothing about ours."""
    end_jobs(harness, *["poll"] * 9, provider="segmind")

    assert (None, {}) == (look(harness).polled_share, troubles(harness))


def test_unused_provider(harness: Harness) -> None:
    """The trouble of a provider that has no key here is nobody's."""
    with harness.db.write() as tx:
        store.providers.hold(tx, "apixo", "once")
    wiring = replace(harness.wiring, providers={})
    found = examine(harness.db, wiring.storage, wiring.providers, harness.clock())

    assert "ready" == found.status


def test_paused_channel(harness: Harness) -> None:
    """A channel that waits for its operator is shown with the reason."""
    until = harness.clock() + timedelta(minutes=15)
    with harness.db.write() as tx:
        store.channels.pause(tx, "email", until, "535 bad credentials")

    expected = "email waits until 12:15 UTC (535 bad credentials)"
    assert {"channels": expected} == troubles(harness)
