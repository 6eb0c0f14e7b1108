"""Fixtures that every test may ask for."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from support.buckets import Buckets, moto, use
from support.compiled_apps import share_compiled_apps
from support.compiled_statements import share_compiled_statements
from support.databases import DATABASES, POSTGRES, Template, missing_server, template
from support.harness import Harness, TestClock
from support.requirements import need
from support.sandboxes import SandboxClient, start_sandbox
from support.servers import Clipbell

from service import store
from service.bootstrap import Wiring, build
from service.settings import load_settings
from service.store.database import Database

#: The default finds the same cases on every run; `--hypothesis-profile=long` searches for others.
hypothesis.settings.register_profile("ci", max_examples=25, derandomize=True, deadline=None)
hypothesis.settings.register_profile("long", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("ci")
share_compiled_statements()
share_compiled_apps()
# A test run is a dozen interpreters: without bytecode each one compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: A slow test starts services of its own, kills them, and waits until they have recovered.
SLOW_SECONDS = 180
#: Two thousand examples of everything.
LONG_SECONDS = 4 * 3600


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database` chooses the lane."""
    parser.addoption(
        "--database",
        choices=DATABASES,
        default="sqlite",
        help="postgresql: only the tests that depend on the database, on that server",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Give long tests more time, and keep those of this lane.

    PostgreSQL's are marked `postgresql` and use the fixture `database`. Those marked
    `postgresql(only=True)` have a server of their own, and say nothing of SQLite.
    """
    for item in items:
        if seconds := _more_seconds(item):
            item.add_marker(pytest.mark.timeout(seconds))
    is_chosen = _is_not_only_postgresql
    if config.getoption("database") == "postgresql":
        is_chosen = _depends_on_postgresql
    chosen = [item for item in items if is_chosen(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def pytest_collection_finish() -> None:
    """Keep the garbage collector from the half a million objects that live to the end."""
    gc.collect()
    gc.freeze()


def _more_seconds(item: pytest.Item) -> int:
    """The time-out of a test that needs more than the usual and names none itself; else 0."""
    if item.get_closest_marker("timeout"):
        return 0
    if hypothesis.settings.get_current_profile_name() == "long":
        return LONG_SECONDS
    takes_long = item.get_closest_marker("slow") or item.get_closest_marker("long")
    return SLOW_SECONDS if takes_long else 0


def _is_not_only_postgresql(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("postgresql")
    return marker is None or not marker.kwargs.get("only")


def _depends_on_postgresql(item: pytest.Item) -> bool:
    used = "database" in getattr(item, "fixturenames", [])
    return not _is_not_only_postgresql(item) or (
        used and item.get_closest_marker("postgresql") is not None
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was skipped and why, one line per reason, and the figures that tests recorded."""
    skipped = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in skipped.items():
        terminalreporter.write_line(f"{count} {reason[0].lower()}{reason[1:]}")
    for report in terminalreporter.stats.get("passed", []):
        for figures in [value for name, value in report.user_properties if name == "figures"]:
            terminalreporter.write_line(f"\n{figures}")


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> str:
    """The database of this lane, `sqlite` or `postgresql`; skips where no server answers."""
    name: str = request.config.getoption("database")
    if name == "postgresql":
        need(missing_server())
    return name


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Migrated databases to copy from."""
    with template(tmp_path_factory.mktemp("databases")) as made:
        yield made


@pytest.fixture
def database_url(database: str, database_template: Template) -> Iterator[str]:
    """An empty database at head."""
    with database_template.empty(database) as url:
        yield url


@pytest.fixture
def bare_url(database: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a single table."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'empty.db'}"
        return
    name = f"clipbell_empty_{tmp_path.name[-8:].lower().replace('-', '_')}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield POSTGRES.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


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
    """Settings of the harness besides its own; tests override the fixture."""
    return {}


@pytest.fixture
def harness(
    database_url: str,
    tmp_path: Path,
    clock: TestClock,
    settings_given: dict[str, Any],
) -> Iterator[Harness]:
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
    wiring = build(load_settings({}, **given), clock, follow_database=False)
    with wiring.db.write() as tx:
        for name in wiring.providers:
            store.providers.ensure(tx, name, clock())
    yield Harness(wiring, clock)
    wiring.close()


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A service that was set up, with nothing running."""
    with Clipbell(tmp_path_factory.mktemp("idle"), "http://127.0.0.1:9") as made:
        yield made


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """Web, worker and sandbox, running; one for all tests of this process."""
    folder = tmp_path_factory.mktemp("stack")
    with (
        start_sandbox(folder / "provider", credits=1e9) as provider,
        Clipbell(folder, provider.url, poll_after="0.2", poll_every="0.2") as made,
    ):
        yield made.start()


@pytest.fixture(scope="module")
def running(stack: Clipbell, request: pytest.FixtureRequest) -> Clipbell:
    """An account of the module's own at the running service; no test may stop a process of it."""
    # A worker of xdist may leave a module and come back to it: each time with a new account.
    return stack.as_account(f"{request.module.__name__} {uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def worker(clipbell: Clipbell) -> Iterator[Wiring]:
    """The same service, as a worker has it."""
    wiring = build(load_settings(clipbell.environ))
    yield wiring
    wiring.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """A sandbox provider with small pictures, over a real socket."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), credits=1e6) as server:
        yield SandboxClient(server)


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
