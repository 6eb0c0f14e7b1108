"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support.buckets import Buckets, moto, use
from support.databases import Template, postgres_or_skip, template
from support.sandboxes import Wire, sandbox
from support.servers import Clipbell

from service import store
from service.accounts import SCOPES, create_account, create_key
from service.bootstrap import Wiring, build
from service.jobs.requests import API_SOURCE, check_request, request_job
from service.model import Account, Job
from service.settings import load_settings
from service.store.database import Database

hypothesis.settings.register_profile("long", deadline=None, max_examples=2000)

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class TestClock:
    """A clock that stands still until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Let that much time pass."""
        self.now += timedelta(seconds=seconds)
        return self.now


class Bench:
    """The wiring over a fresh database, with a clock to turn and short ways to make rows."""

    def __init__(self, wiring: Wiring, clock: TestClock) -> None:
        self.wiring = wiring
        self.clock = clock
        self.db = wiring.db
        self.account, self.key = self.new_account("alice")

    def new_account(self, name: str) -> tuple[Account, str]:
        """An account and a key with all scopes."""
        with self.db.write() as tx:
            account = create_account(tx, self.wiring.encryptor, name, None, self.clock())
            return account, create_key(tx, account.id, name, SCOPES, self.clock())

    def new_job(self, prompt: str = "A fox", source: str = API_SOURCE, **body: Any) -> Job:
        """A queued job for APIXO's model."""
        whole = {"model": "kling-2-5-turbo-pro", "input": {"prompt": prompt}} | body
        asked = check_request(whole, self.wiring.channels, self.wiring.providers)
        asked = replace(asked, source=source)
        with self.db.write() as tx:
            return request_job(
                tx,
                self.wiring.encryptor,
                self.wiring.settings,
                self.account.id,
                asked,
                self.clock(),
            )

    def job(self, job: Job) -> Job:
        """The job as it is now."""
        with self.db.read() as tx:
            found = store.jobs.find(tx, job.id)
        assert found is not None
        return found

    def unit(self, kind: str) -> bool:
        """Run one unit of work."""
        return self.wiring.units()[kind]()

    def drain(self, *kinds: str) -> None:
        """Run units of these kinds until none has anything left."""
        units = self.wiring.units()
        while sum(units[kind]() for kind in kinds):
            pass


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have kept, from whichever process they ran in."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        told = getattr(report, "when", "") == "call"
        kept = report.user_properties if told else []
        for figures in [value for name, value in kept if name == "figures"]:
            terminalreporter.write_line(f"\n{figures}")


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Migrated databases to copy from."""
    with template(tmp_path_factory.mktemp("databases")) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, database_template: Template, tmp_path: Path
) -> str:
    """An empty database at head: each test that asks runs on both."""
    if request.param == "sqlite":
        return database_template.sqlite(tmp_path)
    postgres_or_skip()
    return database_template.postgres()


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """The database, opened."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def clock() -> TestClock:
    """Noon of a quiet day."""
    return TestClock()


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """Settings of the bench besides its own; tests override the fixture."""
    return {}


@pytest.fixture
def bench(
    database_url: str,
    tmp_path: Path,
    clock: TestClock,
    settings_given: dict[str, Any],
) -> Iterator[Bench]:
    """All collaborators over an empty database; the provider is nowhere unless it is given."""
    given = {
        "data_dir": tmp_path / "data",
        "database_url": database_url,
        "secret_keys": "k" * 40,
        "public_url": "http://127.0.0.1:9",
        "apixo_api_key": "test",
        "apixo_base_url": "http://127.0.0.1:9",
        "segmind_api_key": "test",
        "segmind_base_url": "http://127.0.0.1:9",
        "allowed_networks": "127.0.0.0/8,::1/128",
    } | settings_given
    wiring = build(load_settings({}, **given), clock)
    with wiring.db.write() as tx:
        for name in wiring.providers:
            store.providers.ensure(tx, name, clock())
    yield Bench(wiring, clock)
    wiring.close()


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service that was set up, with nothing running."""
    with Clipbell(tmp_path_factory.mktemp("idle"), "http://127.0.0.1:9") as made:
        yield made


@pytest.fixture(scope="module")
def worker(clipbell: Clipbell) -> Iterator[Wiring]:
    """The same service, as a worker has it."""
    wiring = build(load_settings(clipbell.environ))
    yield wiring
    wiring.close()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A sandbox provider with small pictures, over a real socket."""
    with sandbox(tmp_path_factory.mktemp("sandbox"), credits=1e6) as server:
        yield Wire(server)


@pytest.fixture(scope="session")
def s3() -> Iterator[Buckets]:
    """A server of S3's protocol."""
    with moto() as made:
        yield made


@pytest.fixture
def buckets(s3: Buckets, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """That server, named by this process's environment."""
    use(monkeypatch, s3)
    return s3
