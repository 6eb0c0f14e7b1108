"""The folder of videos: whole files only, under names of ours only."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.storage import FileStorage, StorageError, open_storage

NAME = "vid_" + "0123456789abcdef" * 2 + ".mp4"


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    """A storage whose folder is not there yet."""
    return FileStorage(tmp_path / "deep" / "videos")


def files(storage: FileStorage) -> list[str]:
    """Everything in it."""
    return sorted(path.name for path in storage.folder.rglob("*") if path.is_file())


def test_written_file_is_there(storage: FileStorage) -> None:
    """After the block the file is whole, readable back within it, and nothing else is left."""
    with storage.writing(NAME) as file:
        file.write(b"half")
        assert not storage.exists(NAME)
        file.write(b" whole")
        file.seek(0)
        assert b"half whole" == file.read()

    assert b"half whole" == storage.path(NAME).read_bytes()
    assert hashlib.sha256(b"half whole").hexdigest() == storage.sha256(NAME)
    assert [NAME] == files(storage)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, OSError])
def test_error_leaves_nothing(storage: FileStorage, error: type[BaseException]) -> None:
    """A block that ends in an error leaves no file, not even a part of one."""
    with pytest.raises((error, StorageError)), storage.writing(NAME) as file:
        file.write(b"half")
        raise error

    assert (False, []) == (storage.exists(NAME), files(storage))


def test_error_keeps_the_old_file(storage: FileStorage) -> None:
    """Writing anew in vain leaves what was there."""
    with storage.writing(NAME) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), storage.writing(NAME) as file:
        file.write(b"new")
        _ = 1 / 0

    assert b"old" == storage.path(NAME).read_bytes()


def test_two_writers(storage: FileStorage) -> None:
    """Two that write one name leave one of the two, whole."""
    contents = [bytes([number]) * 200_000 for number in range(6)]

    def write(content: bytes) -> None:
        with storage.writing(NAME) as file:
            file.write(content[:100_000])
            file.write(content[100_000:])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert storage.path(NAME).read_bytes() in contents
    assert [NAME] == files(storage)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        NAME + "/x",
        NAME + "\n",
        "x/" + NAME,
        "vid_" + "g" * 32 + ".mp4",
        "vid_" + "0" * 31 + ".mp4",
        "vid_" + "0" * 32 + ".exe",
        "vid_" + "0" * 32,
    ],
)
def test_foreign_names(storage: FileStorage, name: str) -> None:
    """A name that we did not make leads nowhere, in or out of the folder."""
    with pytest.raises(StorageError):
        storage.path(name)
    with pytest.raises(StorageError), storage.writing(name):
        pass
    for act in (storage.exists, storage.delete):
        with pytest.raises(StorageError):
            act(name)


def test_delete(storage: FileStorage) -> None:
    """Deleting is final, and harmless when it was done before."""
    with storage.writing(NAME) as file:
        file.write(b"x")
    storage.delete(NAME)
    storage.delete(NAME)

    assert not storage.exists(NAME)


def test_check(storage: FileStorage, tmp_path: Path) -> None:
    """A folder that can be written passes and stays clean; any other is told with its path."""
    storage.check()
    assert [] == files(storage)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(StorageError, match=folder.name):
            FileStorage(folder).check()
        with pytest.raises(StorageError), FileStorage(folder).writing(NAME):
            pass


def test_open_storage(tmp_path: Path) -> None:
    """``file://`` takes a path with blanks; what is not built says so with the setting's name."""
    assert tmp_path / "a b" == open_storage(f"file://{tmp_path}/a%20b").folder
    for url in ("ftp://host/x", "file://host/x", "nothing"):
        with pytest.raises(SettingsError, match="STORAGE_URL"):
            open_storage(url)
