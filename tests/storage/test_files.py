"""The folder of videos, and which storage a URL names; see also `contracts/test_storage.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.buckets import Buckets

from service.errors import SettingsError
from service.settings import load_settings
from service.storage import FileStorage, StorageError, open_storage
from service.storage.s3 import S3Storage
from service.store.database_url import parse_database_url

NAME = "vid_" + "0123456789abcdef" * 2 + ".mp4"
MEMORY_DISK = Path("/", "dev", "shm")


def test_where_files_lie(tmp_path: Path) -> None:
    """The key is the path within the folder; no folder holds all."""
    storage = FileStorage(tmp_path)
    with storage.writing(NAME) as file:
        file.write(b"x")

    assert b"x" == (tmp_path / storage.key(NAME)).read_bytes()
    assert (f"ef/{NAME}", None, "") == (
        storage.key(NAME),
        storage.presigned(NAME, "GET", 60),
        storage.origin,
    )


def test_taken_file_is_moved(tmp_path: Path) -> None:
    """On one disk the very file is moved; whoever may look into the folder may read it."""
    path, storage = tmp_path / "part", FileStorage(tmp_path / "videos")
    path.write_bytes(b"x")
    path.chmod(0o600)
    number = path.stat().st_ino
    storage.path(NAME).parent.mkdir(parents=True, mode=0o750)
    storage.take(path, NAME)

    found = storage.path(NAME).stat()
    assert (number, 0o640, False) == (found.st_ino, found.st_mode & 0o777, path.exists())


def test_taken_from_another_disk(tmp_path: Path) -> None:
    """Where the file lies on another disk it is copied, whole."""
    storage = FileStorage(tmp_path)
    if MEMORY_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"{MEMORY_DISK} is no disk of its own here")
    with tempfile.NamedTemporaryFile(dir=MEMORY_DISK) as file:
        file.write(b"x" * 100_000)
        file.flush()
        storage.take(Path(file.name), NAME)

    assert b"x" * 100_000 == storage.read(NAME)
    assert [] == list(tmp_path.rglob("*.part"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Any folder that cannot be written is reported with its path, by the check and by a write."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(StorageError, match=folder.name):
            FileStorage(folder).check()
        with pytest.raises(StorageError), FileStorage(folder).writing(NAME):
            pass


def test_open_storage(tmp_path: Path, buckets: Buckets) -> None:
    """``file://`` takes a path with blanks, ``s3://`` a bucket; others are named."""
    folder = open_storage(f"file://{tmp_path}/a%20b", tmp_path)
    bucket = open_storage("s3://clips/a/b", tmp_path / "uploads")

    assert (FileStorage, tmp_path / "a b") == (type(folder), folder.folder)
    assert (S3Storage, tmp_path / "uploads") == (type(bucket), bucket.folder)
    options = (
        "file:///srv/hash#1",
        "file:///srv/what?",
        "s3://clips/a?region=eu",
        "s3://clips/a#1",
    )
    for url in ("ftp://host/x", "file://host/x", "nothing", "s3:///x", "file://", *options):
        with pytest.raises(SettingsError, match="STORAGE_URL"):
            open_storage(url, tmp_path)


@pytest.mark.parametrize(
    "name", ["hash#dir", "what?", "100%", "a%20b", "two words", "two\nlines", "視頻 é", "~"]
)
def test_default_folder_with_any_name(tmp_path: Path, name: str) -> None:
    """The videos of a data folder lie in it, whatever a URL would make of its name."""
    settings = load_settings({"CLIPBELL_DATA_DIR": str(tmp_path / name)})
    storage = open_storage(settings.storage_url, tmp_path)
    database = parse_database_url(settings.database_url)

    assert tmp_path / name / "videos" == storage.folder
    assert tmp_path / name / "clipbell.db" == database


WITHOUT_OBSTORE = """
import sys
sys.modules["obstore"] = None
from pathlib import Path
from service.errors import SettingsError
from service.storage import open_storage
print(type(open_storage("file:///tmp/x", Path("."))).__name__)
try:
    open_storage("s3://clips", Path("."))
except SettingsError as error:
    print(error)
"""


def test_extra_is_not_installed() -> None:
    """Without obstore a folder works, and a bucket says what to install."""
    command = [sys.executable, "-c", WITHOUT_OBSTORE]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert ["FileStorage", "s3:// needs its library: pip install 'clipbell[s3]'"] == said.split(
        "\n"
    )[:2]
