"""SQLite's file: what happens to it while it is open is noticed, and nothing is written beside."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import Template, fill_log
from support.harness import NOON

from service import store
from service.errors import DatabaseUnavailable, SchemaError, SettingsError
from service.store.database import Database
from service.store.migration import migrate
from service.store.sqlite import WAL_BYTES


@pytest.fixture
def path(database_template: Template, tmp_path: Path) -> Path:
    """A migrated file in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return Path(database_template.sqlite(folder).removeprefix("sqlite:///"))


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    """It, opened."""
    database = Database(f"sqlite:///{path}", patience=0.5)
    beat(database)
    yield database
    database.close()


def beat(db: Database) -> None:
    """A small write."""
    with db.write() as tx:
        store.work.beat(tx, "w", NOON)


def look(db: Database) -> None:
    """A small read."""
    with db.read() as tx:
        store.work.last_beat(tx)


def delete(path: Path) -> None:
    """The database alone: its log stays."""
    path.unlink()


def delete_all(path: Path) -> None:
    """The whole folder."""
    shutil.rmtree(path.parent)


def delete_log(path: Path) -> None:
    """The log, in which the last commits are."""
    Path(f"{path}-wal").unlink()


def delete_index(path: Path) -> None:
    """The log's index, through which processes agree."""
    Path(f"{path}-shm").unlink()


def replace(path: Path) -> None:
    """Another database under its name, as a restored backup is."""
    other = path.with_name("other.db")
    shutil.copy(path, other)
    other.replace(path)


def replace_by_nothing(path: Path) -> None:
    """An empty file under its name."""
    path.unlink()
    path.touch()


def move(path: Path) -> None:
    """Its folder has another name now."""
    path.parent.rename(path.parent.with_name("elsewhere"))


LOSSES = [
    *(delete, delete_all, delete_log, delete_index),
    *(replace, replace_by_nothing, move),
]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("use", [beat, look])
def test_file_is_lost(
    db: Database, path: Path, lose: Callable[[Path], None], use: Callable[[Database], None]
) -> None:
    """Neither a write nor a read goes to a file that is not there under its name any more."""
    lose(path)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match=r"deleted or replaced|cannot lock"):
            use(db)
    with pytest.raises((DatabaseUnavailable, SchemaError)):
        db.check()


@pytest.mark.parametrize("lose", [delete, replace], ids=lambda lose: lose.__name__)
def test_lost_before_the_commit(db: Database, path: Path, lose: Callable[[Path], None]) -> None:
    """What goes during a transaction is noticed at its end: nobody is assured that it was kept."""
    with pytest.raises(DatabaseUnavailable, match="deleted or replaced"), db.write() as tx:
        store.work.beat(tx, "w", NOON)
        lose(path)


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_new_connections_too(db: Database, path: Path, lose: Callable[[Path], None]) -> None:
    """A thread that opens the file only now gets no other one, and takes nothing of ours away."""
    with db.read():
        lose(path)
        before = sorted(path.parent.glob("*")) if path.parent.exists() else []
        with pytest.raises(DatabaseUnavailable, match="deleted or replaced"):
            look(db)
        after = sorted(path.parent.glob("*")) if path.parent.exists() else []

    assert before == after


def test_put_back_after_new_connections(db: Database, path: Path) -> None:
    """Commits that are only in the log outlive another file under the name, and who asks then."""
    away = path.with_name("away.db")
    shutil.copy(path, path.with_name("other.db"))
    with db.read():
        path.rename(away)
        path.with_name("other.db").rename(path)
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                look(db)
        away.replace(path)
    with db.read() as tx:
        assert NOON == store.work.last_beat(tx)


def test_all_connections_closed(db: Database) -> None:
    """With its last connection SQLite takes the log away: that is no loss."""
    db.engine.dispose()
    beat(db)
    look(db)


def test_put_back(db: Database, path: Path) -> None:
    """The same file under its name again, and all goes on."""
    away = path.with_name("away")
    path.rename(away)
    with pytest.raises(DatabaseUnavailable):
        beat(db)
    away.rename(path)
    beat(db)


def test_looking_makes_no_file(tmp_path: Path) -> None:
    """A database that is not there stays so until somebody makes it."""
    database = Database(f"sqlite:///{tmp_path}/data/clip.db")
    for use in (beat, look):
        with pytest.raises(DatabaseUnavailable):
            use(database)
    with pytest.raises(SchemaError, match="clipbell migrate"):
        database.check()

    assert [] == list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """It is refused by name."""
    with pytest.raises(SettingsError, match="is a folder"):
        Database(f"sqlite:///{tmp_path}")


def damage(path: Path) -> None:
    """Nonsense in every page but the first."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def test_damaged_pages(db: Database, path: Path) -> None:
    """A file that cannot be read is away, in the words of SQLite."""
    db.close()
    damage(path)
    for use in (beat, look):
        with pytest.raises(DatabaseUnavailable, match="malformed"):
            use(db)


def test_no_database_at_all(path: Path) -> None:
    """So is a file that is no database."""
    path.write_bytes(b"no database" * 1000)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        look(database)
    database.close()


def test_somebody_elses_lock(db: Database, path: Path) -> None:
    """Who writes by other means is waited for as long as patience lasts; reads go on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked"):
            beat(db)
        with pytest.raises(DatabaseUnavailable, match="locked"):
            db.check_writable()
        look(db)
        other.execute("ROLLBACK")
    beat(db)


def test_log_after_a_long_reader(db: Database, path: Path) -> None:
    """The log that grew behind a long reader gives its room back once the reader has left."""
    log = Path(f"{path}-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM workers").fetchall()
        fill_log(path)
        db.truncate_log()
        grown = os.stat(log).st_size
        beat(db)
    db.truncate_log()

    assert grown > WAL_BYTES
    assert 0 == os.stat(log).st_size
    beat(db)


@pytest.mark.parametrize(
    "name", ["hash#dir", "what?", "100%", "a%20b", "two words", "two\nlines", "視頻 é", "~"]
)
def test_folders_with_any_name(tmp_path: Path, name: str) -> None:
    """A folder's name has no meaning, not even where SQLite gets a URL."""
    path = tmp_path / name / "clip.db"
    quoted = (tmp_path / name).as_uri().removeprefix("file://")
    database = Database(f"sqlite:///{quoted}/clip.db")
    migrate(database)
    database.check()
    beat(database)
    database.close()

    assert path.is_file()
    assert [name] == [one.name for one in tmp_path.iterdir()]
