"""PostgreSQL that is frozen, read-only, locked or behind a pooler: every wait has an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from chaos import cluster
from chaos.cluster import Cluster
from support import pgbouncer
from support.harness import NOON
from support.pgbouncer import PgBouncer
from support.requirements import need
from support.servers import eventually

from service import store
from service.errors import DatabaseUnavailable, SchemaError
from service.store.database import Database
from service.store.migration import migrate

pytestmark = pytest.mark.postgresql(only=True)

PATIENCE = 0.5
#: Patience, the grace after it, and what a busy machine adds.
LIMIT = 4.0


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server of our own, with a migrated database."""
    need(cluster.missing())
    with Cluster() as made:
        database = Database(made.url)
        migrate(database)
        database.close()
        yield made


@pytest.fixture
def db(server: Cluster) -> Iterator[Database]:
    """Its database, opened by somebody who has little patience."""
    database = Database(server.url, PATIENCE)
    beat(database)
    yield database
    database.close()


def beat(db: Database) -> None:
    """A small write."""
    with db.write() as tx:
        store.work.beat(tx, "w", NOON)


def look(db: Database) -> int:
    """A small read: the process of the server that answered."""
    with db.read() as tx:
        pid = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return int(pid)


def works_again(db: Database) -> bool:
    """Whether reads and writes are taken."""
    try:
        look(db)
        beat(db)
    except DatabaseUnavailable:
        return False
    return True


@pytest.fixture
def read_only(server: Cluster, db: Database) -> Iterator[None]:
    """The server refuses every write."""
    server.set_read_only(True)
    eventually(lambda: not works_again(db), 10)
    yield
    server.set_read_only(False)


@pytest.mark.usefixtures("read_only")
def test_read_only(server: Cluster, db: Database) -> None:
    """Writes are refused as long as it lasts, reads go on, and so does everything afterwards."""
    with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
        beat(db)
    with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
        db.check_writable()
    look(db)
    server.set_read_only(False)

    eventually(lambda: works_again(db), 10)


@pytest.mark.usefixtures("read_only")
def test_fail_over(db: Database) -> None:
    """A server that takes no writes is connected to again: the name may lead elsewhere by now."""
    before = look(db)

    def is_elsewhere() -> bool:
        return not works_again(db) and look(db) != before

    assert eventually(is_elsewhere, 10)


def refused_within(db: Database, ask: str) -> float:
    """Seconds until a transaction is refused."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        (beat if ask == "write" else look)(db)
    return time.monotonic() - began


@pytest.mark.parametrize("ask", ["read", "write"])
@pytest.mark.parametrize("connected", [True, False])
def test_frozen(server: Cluster, ask: str, connected: bool) -> None:
    """On open connections and on new ones nobody waits longer; after the thaw all goes on."""
    db = Database(server.url, PATIENCE)
    if connected:
        beat(db)
    server.freeze()
    try:
        first = refused_within(db, ask)
        second = refused_within(db, ask)
    finally:
        server.thaw()
    eventually(lambda: works_again(db), 10)
    db.close()

    assert first < LIMIT
    # The breaker is open: one thread asks on behalf of all.
    assert second < 0.5


def test_frozen_at_the_commit(server: Cluster, db: Database) -> None:
    """Nobody is assured that something was kept while the server has not said so."""
    try:
        with pytest.raises(DatabaseUnavailable, match="not answered"), db.write() as tx:
            store.work.beat(tx, "w", NOON)
            server.freeze()
    finally:
        server.thaw()
    eventually(lambda: works_again(db), 10)


def test_somebody_elses_lock(server: Cluster, db: Database) -> None:
    """The server ends a wait for a lock itself, so that nobody stays behind waiting for it."""
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailable, match="statement timeout"):
            beat(db)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        (count,) = other.execute(waiting).fetchone() or (None,)
    eventually(lambda: works_again(db), 10)

    assert 0 == count


def test_deadlock(server: Cluster) -> None:
    """Of two that wait for each other the server ends one; nobody else is refused for it."""
    db, meeting, refused = Database(server.url, 8.0), threading.Barrier(2), threading.Event()
    with db.write() as tx:
        for name in ("a", "b"):
            store.work.beat(tx, name, NOON)

    def both(*names: str) -> str:
        try:
            with db.write() as tx:
                store.work.beat(tx, names[0], NOON)
                meeting.wait(5)
                store.work.beat(tx, names[1], NOON)
                # Its own answer would be a reason to refuse nobody.
                refused.wait(5)
                return "written"
        except DatabaseUnavailable as error:
            refused.set()
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(both, "a", "b"), pool.submit(both, "b", "a")
        refused.wait(5)
        beat(db)
        answers = [first.result(), second.result()]
    db.close()

    assert 1 == answers.count("written")
    assert "deadlock" in "".join(answers)


def test_connection_is_ended(server: Cluster, db: Database) -> None:
    """A session that an operator or a restart ended costs one refusal."""
    pid = look(db)
    with psycopg.connect(server.url, autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(DatabaseUnavailable):
        beat(db)
    beat(db)


def test_a_migration_has_no_limit(server: Cluster) -> None:
    """A change of the schema waits for whoever is before it, however long that takes."""
    db = Database(server.url, PATIENCE)
    migrating = threading.Thread(target=partial(migrate, db))
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        migrating.start()
        migrating.join(3 * PATIENCE)
        waits = migrating.is_alive()
    migrating.join(20)
    db.check()
    db.close()

    assert waits


def test_nothing_is_left_in_a_session(db: Database) -> None:
    """No prepared statement and no setting outlives its transaction: the session may be shared."""
    for _ in range(20):
        beat(db)
    with db.read() as tx:
        inside = tx.exec_driver_sql("SHOW statement_timeout").scalar()
        idle = tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        prepared = tx.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar()
        # Locks of a session would outlive its transactions.
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        advisory = tx.exec_driver_sql(locks).scalar()
    with db.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw
        (outside,) = raw.execute("SHOW statement_timeout").fetchone()

    assert ("500ms", "1min", 0, 0, "0") == (inside, idle, prepared, advisory, outside)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_encodings(server: Cluster, encoding: str) -> None:
    """A database that cannot keep every text is refused in one line that says how to make one."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(server.url, autocommit=True) as operator:
        made = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        operator.execute(made.encode())
    db = Database(server.url.replace("/clipbell?", f"/{name}?"))
    for act in (db.check, partial(migrate, db)):
        with pytest.raises(SchemaError) as caught:
            act()
        (line,) = str(caught.value).splitlines()
        assert f"encoding is {encoding}" in line
        assert "CREATE DATABASE clipbell ENCODING 'UTF8' TEMPLATE template0" in line
    db.close()


def test_many_threads_behind_a_pooler(server: Cluster) -> None:
    """Through one session that all take turns in, thirty threads read and write what they mean."""
    need(pgbouncer.missing())
    with PgBouncer(str(server.folder), "clipbell", 1) as bouncer:
        db = Database(bouncer.url)
        migrate(db)
        troubles: list[Exception] = []

        def work(name: str) -> None:
            try:
                for number in range(10):
                    with db.write() as tx:
                        store.work.beat(tx, f"{name}-{number}", NOON)
                    look(db)
            except Exception as error:
                troubles.append(error)

        threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.check()
        db.close()

    assert [] == troubles
