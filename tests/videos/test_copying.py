"""Copying by a real worker: memory stays flat, and a worker's death leaves no half file."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from support.file_server import FileServer, Original, Turn, original
from support.film import film, padding
from support.servers import Clipbell, eventually, http_call

from service import store
from service.jobs.outcomes import record_outcome
from service.model import Outcome, TaskState, utc_now
from service.settings import load_settings
from service.store.database import Database
from service.store.schema import videos
from service.videos.downloads import MARK_BYTES

LARGE = 300 * 1000**2
FLAT = LARGE // 10

pytestmark = pytest.mark.timeout(180)


def film_of(size: int) -> Original:
    """A film that plays, with padding behind it up to that many bytes."""
    return replace(original(film() + padding(size - len(film()) - 8)), size=size)


class Site(Clipbell):
    """A service with ways to end its jobs by hand."""

    def answers(self) -> bool:
        """Whether the web process takes requests."""
        try:
            return http_call("GET", f"{self.url}/healthz").status == 200
        except OSError:
            return False

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Its database, beside its own processes."""
        db = Database(load_settings(self.environ).database_url)
        yield db
        db.close()

    def succeeded(self, url: str) -> str:
        """A job whose result is said to lie there; its id."""
        made = self.submit("A fox", notify=[])
        outcome = Outcome(TaskState.SUCCEEDED, result_url=url)
        with self.database() as db, db.write() as tx:
            job = store.jobs.find(tx, made["id"])
            assert job is not None
            record_outcome(tx, load_settings(self.environ), job, outcome, "poll", utc_now())
        return job.id

    def await_copy(self, job_id: str) -> dict[str, Any]:
        """The job's video once it is ours."""

        def look() -> Any:
            found = self.job(job_id)["video"]
            return found if found["bytes"] else None

        copied: dict[str, Any] = eventually(look, 90)
        return copied

    def lease_ends(self) -> None:
        """As if the time of all leases had passed."""
        with self.database() as db, db.write() as tx:
            tx.execute(update(videos).values(due_at=utc_now()))

    def stored(self) -> list[str]:
        """The names of all files that could be served."""
        folder = self.folder / "data" / "videos"
        return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A service that sends nothing: its web process runs, its worker not yet."""
    with Site(tmp_path, "http://127.0.0.1:9", providers="apixo") as made:
        made.start_web()
        eventually(made.answers)
        assert 200 == made.call("POST", "/v1/providers/apixo/hold").status
        yield made


def fetched(url: str, **headers: str) -> tuple[int, int, str]:
    """Status, length and SHA-256 of an answer, which is read piece by piece."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", f"/{path}", headers=headers)
    answer, digest, size = connection.getresponse(), hashlib.sha256(), 0
    while piece := answer.read(1024**2):
        digest.update(piece)
        size += len(piece)
    connection.close()
    return answer.status, size, digest.hexdigest()


def digest_of(file: Original, start: int = 0) -> str:
    """The SHA-256 of its bytes from there on."""
    digest = hashlib.sha256()
    for piece in file.pieces(start, file.size):
        digest.update(piece)
    return digest.hexdigest()


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *[member for child in children for member in family(int(child))]]


class Memory:
    """How much memory some processes have taken at most since this was made, in bytes."""

    def __init__(self, *pids: int) -> None:
        self._pids = [member for pid in pids for member in family(pid)]
        for pid in self._pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._before = self._peaks()

    def grown(self) -> int:
        """By how much the process has grown that has grown most."""
        return max(now - before for now, before in zip(self._peaks(), self._before, strict=True))

    def _peaks(self) -> list[int]:
        return [self._peak(Path(f"/proc/{pid}/status").read_text()) for pid in self._pids]

    def _peak(self, status: str) -> int:
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def test_large_result(site: Site) -> None:
    """300 MB come in and go out through processes that do not grow by a tenth of it."""
    small, large = film_of(len(film()) + 8), film_of(LARGE)
    with FileServer(Turn(small), Turn(large)) as files:
        first = site.succeeded(files.url + "/small")
        site.start_worker()
        fetched(site.await_copy(first)["url"])
        memory = Memory(site.pid("worker"), site.pid("serve"))
        copied = site.await_copy(site.succeeded(files.url + "/large"))
    whole, part = fetched(copied["url"]), fetched(copied["url"], Range=f"bytes={LARGE // 2}-")
    grown = memory.grown()

    assert (LARGE, digest_of(large)) == (copied["bytes"], copied["sha256"])
    assert (200, LARGE, digest_of(large)) == whole
    assert (206, LARGE // 2, digest_of(large, LARGE // 2)) == part
    assert grown < FLAT, f"{grown / 1e6:.0f} MB"


def test_worker_is_killed_in_mid_download(site: Site) -> None:
    """Half a file is never served; the next worker goes on behind what was safely on disk."""
    large = film_of(4 * MARK_BYTES)
    stuck = Turn(large, etag='"1"', cut=2 * MARK_BYTES + 1_000_000, hold=threading.Event())
    with FileServer(stuck, Turn(large, etag='"1"')) as files:
        job_id = site.succeeded(files.url + "/a")
        site.start_worker()
        part = site.folder / "data" / "downloads"
        eventually(lambda: any(p.stat().st_size > 2 * MARK_BYTES for p in part.glob("*.part")))
        site.kill("worker")
        link = site.job(job_id)["video"]["url"]
        between = http_call("GET", link)

        assert (302, files.url + "/a") == (between.status, between.headers["Location"])
        assert [] == site.stored()
        site.lease_ends()
        site.start_worker()
        copied = site.await_copy(job_id)
        asked = files.asked[1]

    start = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
    assert (True, '"1"') == (2 * MARK_BYTES <= start < large.size, asked["if-range"])
    assert (200, large.size, digest_of(large)) == fetched(link)
    assert digest_of(large) == copied["sha256"]
    assert [] == list(part.iterdir())
