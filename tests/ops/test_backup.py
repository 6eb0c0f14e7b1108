"""`clipbell backup`: one file from which a running service can be set up again."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from support.harness import Harness
from support.servers import Clipbell, eventually

from service import store
from service.errors import DatabaseUnavailable, SettingsError
from service.ops.backup import write_backup
from service.settings import load_settings


def unpack(archive: Path, folder: Path) -> dict[str, int]:
    """All of a backup into a folder; the mode of each file by its name."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        return {member.name: member.mode for member in tar.getmembers()}


def test_set_up_again(clipbell: Clipbell, tmp_path: Path) -> None:
    """Unpacked into an empty folder it is the same service: account, key and webhook secret."""
    archive = tmp_path / "monday.tar"
    made = json.loads(clipbell.run("backup", str(archive), "--json").stdout)
    other = Clipbell(tmp_path, "http://127.0.0.1:9", data_dir=str(tmp_path / "data"))
    found = unpack(archive, tmp_path / "data")
    again = json.loads(other.run("init", "--json").stdout)

    assert {"file": str(archive), "bytes": archive.stat().st_size} == made
    assert {"clipbell.db": 0o600, "secret_keys": 0o600} == found
    # Programs that copy what has changed go by that time.
    assert 60 > time.time() - (tmp_path / "data" / "secret_keys").stat().st_mtime
    assert 0o100600 == archive.stat().st_mode
    assert (None, clipbell.webhook_secret) == (again["api_key"], again["webhook_secret"])
    assert ["data", "monday.tar"] == sorted(path.name for path in tmp_path.iterdir())


def test_ends_of_keys(clipbell: Clipbell, tmp_path: Path) -> None:
    """A key that ends in 30 days does so after a restore, too."""
    clipbell.run("secrets", "rotate")
    ends = json.loads(clipbell.run("secrets", "list", "--json").stdout)
    clipbell.run("backup", str(tmp_path / "rotated.tar"))
    unpack(tmp_path / "rotated.tar", tmp_path / "data")
    restored = Clipbell(tmp_path, "http://127.0.0.1:9")

    assert ends == json.loads(restored.run("secrets", "list", "--json").stdout)
    assert [True, False] == [one["ends_at"] is None for one in ends]


def test_file_that_is_there(clipbell: Clipbell, tmp_path: Path) -> None:
    """No file is overwritten by mistake; with --replace the new backup takes its place."""
    archive = tmp_path / "backup.tar"
    archive.write_text("precious")
    refused = clipbell.run("backup", str(archive), code=1).stderr
    kept = archive.read_text()
    clipbell.run("backup", "--replace", str(archive))

    assert f"clipbell: {archive} is there already: name another file, or add --replace\n" == refused
    assert "precious" == kept
    assert tarfile.is_tarfile(archive)


def test_while_others_write(harness: Harness, tmp_path: Path) -> None:
    """Each backup holds all that was committed before it, and whole transactions only."""
    done = threading.Event()
    committed = [0]

    def write() -> None:
        while not done.is_set():
            with harness.db.write() as tx:
                store.providers.ensure(tx, f"first {committed[0]}", harness.clock())
                store.providers.ensure(tx, f"second {committed[0]}", harness.clock())
            committed[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for number in range(5):
        eventually(partial(has_come_to, committed, committed[0] + 3))
        before = committed[0]
        write_backup(harness.wiring.settings, tmp_path / f"{number}.tar")
        unpack(tmp_path / f"{number}.tar", tmp_path / f"{number}")
        found.append((before, *pairs_in(tmp_path / f"{number}" / "clipbell.db")))
    done.set()
    writer.join()

    assert [first for _, first, _ in found] == [second for _, _, second in found]
    assert all(first >= before for before, first, _ in found), found


def has_come_to(count: list[int], goal: int) -> bool:
    """Whether the writer has done so many transactions."""
    return count[0] >= goal


def pairs_in(file: Path) -> list[int]:
    """How many rows of each half of a transaction there are."""
    question = "SELECT count(*) FROM providers WHERE name LIKE ?"
    with closing(sqlite3.connect(file)) as copy:
        return [copy.execute(question, (half,)).fetchone()[0] for half in ("first%", "second%")]


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:hush@db.example:5433/clips",
        "postgresql://me@db.example:5433/clips?password=hush&sslpassword=hush",
    ],
)
def test_on_postgresql(tmp_path: Path, url: str) -> None:
    """It says what to run instead, without the password, and makes no file."""
    with pytest.raises(SettingsError) as caught:
        write_backup(load_settings({}, database_url=url), tmp_path / "x.dump")

    command = f"pg_dump --format=custom --file={tmp_path}/x.dump"
    assert f"run {command} 'postgresql://me@db.example:5433/clips'" in str(caught.value)
    assert [] == list(tmp_path.iterdir())


def test_damaged_database(clipbell: Clipbell, tmp_path: Path) -> None:
    """A database that is damaged makes no backup that looks like one."""
    data = tmp_path / "data"
    clipbell.run("backup", str(tmp_path / "good.tar"))
    unpack(tmp_path / "good.tar", data)
    with (data / "clipbell.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4 * 4096)
    other = Clipbell(tmp_path, "http://127.0.0.1:9", data_dir=str(data))
    refused = other.run("backup", str(tmp_path / "bad.tar"), code=1).stderr

    assert "clipbell: " in refused
    assert not (tmp_path / "bad.tar").exists()


def test_no_database(tmp_path: Path) -> None:
    """Where there is no database yet, one line says so and no file is made."""
    settings = load_settings({}, data_dir=tmp_path / "data", secret_keys="k" * 40)
    with pytest.raises(DatabaseUnavailable, match=r"cannot copy .*clipbell\.db: unable to open"):
        write_backup(settings, tmp_path / "x.tar")

    assert [] == list(tmp_path.iterdir())
