"""The database: both kinds behave alike, writers queue, the schema is the declared one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError, OperationalError
from support.harness import NOON

from service import store
from service.errors import SchemaError, SettingsError
from service.store.database import Database
from service.store.migration import alembic_config, migrate
from service.store.schema import metadata, workers

pytestmark = pytest.mark.postgresql

WRITER = """
import sys
from service import store
from service.store.database import Database
from service.model import utc_now
database = Database(sys.argv[1])
for number in range(40):
    with database.write() as tx:
        store.work.beat(tx, f"{sys.argv[2]}-{number}", utc_now())
"""

MIGRATOR = """
import sys
from service.store.database import Database
from service.store.migration import migrate
database = Database(sys.argv[1])
sys.stdin.readline()
migrate(database)
database.check()
"""

OLD_ACCOUNT = """
INSERT INTO accounts (id, name, webhook_secret, turn, created_at)
VALUES ('acc_1', 'alice', 's', 0, '2026-01-01 12:00:00.000000')
"""
OLD_KEY = """
INSERT INTO api_keys (id, account_id, name, digest, hint, scopes, created_at)
VALUES ('key_1', 'acc_1', 'k', 'd', 'h', '[]', '2026-01-01 12:00:00.000000')
"""
OLD_JOB = """
INSERT INTO jobs (id, account_id, model, provider, route, door, input, metadata, state, muted,
    polls, misses, overdue, claims, created_at)
VALUES ('job_1', 'acc_1', 'm', 'apixo', 'auto', 'clipbell', '{}', '{}', 'failed', false,
    0, 0, false, 0, '2026-01-01 12:00:00.000000')
"""
OLD_EVENT = """
INSERT INTO events (id, account_id, job_id, type, sequence, once, created_at)
VALUES ('evt_1', 'acc_1', 'job_1', 'job.failed', 1, 'job_1', '2026-01-01 12:00:00.000000')
"""
OLD_SUBSCRIPTION = """
INSERT INTO subscriptions (id, account_id, channel, target, target_digest, events, format, secret,
    hidden, enabled, created_at)
VALUES ('sub_1', 'acc_1', 'webhook', 't', 'd', '[]', 'flat', 's', false, true,
    '2026-01-01 12:00:00.000000')
"""
OLD_DELIVERY = """
INSERT INTO deliveries (id, account_id, event_id, job_id, subscription_id, channel, state,
    attempts, claims, created_at)
VALUES ('dlv_1', 'acc_1', 'evt_1', 'job_1', 'sub_1', 'webhook', 'pending', 3, 3,
    '2026-01-01 12:00:00.000000')
"""
OLD_ATTEMPT = """
INSERT INTO attempts (delivery_id, number, response, milliseconds, created_at)
VALUES ('dlv_1', 3, '', 5, '2026-01-01 12:00:00.000000')
"""
OLD_ROWS = (OLD_ACCOUNT, OLD_KEY, OLD_JOB, OLD_EVENT, OLD_SUBSCRIPTION, OLD_DELIVERY, OLD_ATTEMPT)


def beats(db: Database) -> int:
    """How many rows the writers have left."""
    with db.read() as tx:
        return tx.scalar(select(func.count()).select_from(workers)) or 0


def test_write_is_seen_by_read(db: Database) -> None:
    """What a write committed, the next read sees, with the same moment."""
    with db.write() as tx:
        store.work.beat(tx, "w", NOON)
    with db.read() as tx:
        assert NOON == store.work.last_beat(tx)


def test_error_rolls_back(db: Database) -> None:
    """A write that ends in an error leaves nothing, and the next one is not blocked by it."""
    with pytest.raises(ZeroDivisionError), db.write() as tx:
        store.work.beat(tx, "w", NOON)
        _ = 1 / 0
    with db.write() as tx:
        store.work.beat(tx, "other", NOON)

    assert 1 == beats(db)


def test_commits_reach_the_disk(db: Database) -> None:
    """A commit is on disk when it returns: the receiver answers 200 on the strength of it."""
    with db.read() as tx:
        setting = "PRAGMA synchronous" if db.is_sqlite else "SHOW synchronous_commit"
        found = tx.exec_driver_sql(setting).scalar()

    assert found in (2, "on")


def test_reader_does_not_wait_for_writer(db: Database) -> None:
    """A read inside a write's time sees the state before it and waits for nobody."""
    with db.write() as tx:
        store.work.beat(tx, "w", NOON)
        seen = beats(db)

    assert 0 == seen


def test_threads_write_at_once(db: Database) -> None:
    """Eight threads with a hundred writes each: all are kept, none gets "locked"."""
    troubles: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(25):
                with db.write() as tx:
                    store.work.beat(tx, f"{name}-{number}", NOON)
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=work, args=(str(name),)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == troubles
    assert 200 == beats(db)


def test_processes_write_at_once(db: Database) -> None:
    """Two processes and this one write the same database; every row arrives."""
    command = [sys.executable, "-c", WRITER, db.url]
    children = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    for number in range(40):
        with db.write() as tx:
            store.work.beat(tx, f"here-{number}", NOON)
    errors = [child.communicate(timeout=40)[1] for child in children]

    assert ["", ""] == errors
    assert 120 == beats(db)


def differences(connection: Connection) -> list[object]:
    """What a migration would still have to change."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_migrated_is_the_declared_schema(bare_url: str) -> None:
    """From nothing to head gives exactly the declared tables, columns and indexes."""
    database = Database(bare_url)
    migrate(database)
    database.check()
    with database.engine.connect() as connection:
        found = differences(connection)
    database.close()

    assert [] == found


def test_migrating_twice(bare_url: str) -> None:
    """At head there is nothing to do, and doing it does no harm."""
    database = Database(bare_url)
    migrate(database)
    migrate(database)
    version = database.version()
    database.close()

    assert version.head == version.at


def test_migrating_keeps_rows(bare_url: str) -> None:
    """Rows of the first schema, and the rows that refer to them, are there at head."""
    database = Database(bare_url)
    if database.path:
        database.path.parent.mkdir()
        database.path.touch()
    config = alembic_config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection.execution_options(writes=True)
        with connection.begin():
            upgrade(config, "0001")
        with connection.begin():
            for row in OLD_ROWS:
                connection.exec_driver_sql(row)
    migrate(database)
    with database.read() as tx:
        found = [store.accounts.first(tx), *store.accounts.keys(tx, "acc_1")]
        (event,), (delivery,) = (
            store.events.of_job(tx, "job_1"),
            store.deliveries.of_job(tx, "job_1"),
        )
        (attempt,) = store.deliveries.all_attempts(tx, ["dlv_1"])
    database.close()

    assert ["acc_1", "key_1"] == [row.id for row in found if row]
    assert ("evt_1", None, False) == (event.id, event.feed_sequence, event.sample)
    assert ("dlv_1", 3, 3, False) == (
        delivery.id,
        delivery.scheduled_attempts,
        attempt.number,
        attempt.manual,
    )


def test_references_are_kept_after_migrating(bare_url: str) -> None:
    """What the migration switches off for its own time holds again afterwards."""
    database = Database(bare_url)
    migrate(database)
    with pytest.raises(IntegrityError), database.write() as tx:
        tx.exec_driver_sql(OLD_EVENT.replace(" once,", " dedup_key,"))
    database.close()


def away(times: int) -> Callable[[Connection], str]:
    """An act that fails so many times as if the database were gone, then writes."""
    left = [times]

    def act(tx: Connection) -> str:
        if left[0]:
            left[0] -= 1
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))
        store.work.beat(tx, "w", NOON)
        return "written"

    return act


def test_insisting(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody can find out a second time is written once the database is back."""
    assert "written" == db.write_with_retry(away(2))
    assert 1 == beats(db)
    assert 2 == len([r for r in caplog.records if "the database is unavailable" in r.getMessage()])


def test_insisting_on_nonsense(db: Database) -> None:
    """An error that is not the database's is not repeated."""
    with pytest.raises(ZeroDivisionError):
        db.write_with_retry(lambda tx: 1 // 0)


def test_migrating_from_two_sides(bare_url: str) -> None:
    """Processes that bring an empty database to head at the same time all end well."""
    command = [sys.executable, "-c", MIGRATOR, bare_url]
    children = [
        subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = [child.communicate(timeout=40)[1].splitlines()[-1:] for child in children]

    assert [[], [], []] == ends


def test_check_of_an_empty_database(bare_url: str) -> None:
    """Without tables the message says so and names the command that fixes it."""
    database = Database(bare_url)
    with pytest.raises(SchemaError) as caught:
        database.check()
    database.close()

    assert "empty" in str(caught.value)
    assert "clipbell migrate" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:9/none", "sqlite:////dev/null/such.db"]
)
def test_check_of_a_database_that_is_not_there(url: str) -> None:
    """Nobody answers: one line, without the traceback of the driver."""
    with pytest.raises((SchemaError, SettingsError)) as caught:
        Database(url).check()

    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize("url", ["mysql://here/there", "nonsense", ""])
def test_other_databases(url: str) -> None:
    """What is no SQLite and no PostgreSQL is refused with the name of the setting."""
    with pytest.raises(SettingsError, match="CLIPBELL_DATABASE_URL"):
        Database(url)
