"""What every storage keeps: whole files only, under names of ours only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.buckets import Buckets

from service.media.containers import VIDEO_TYPES
from service.storage import FileMissing, Storage, StorageError, media_type_of, open_storage

NAME = "vid_" + "0123456789abcdef" * 2 + ".mp4"
IMAGES = [f"img_{number:032x}.png" for number in range(3)]
LATER = datetime(2100, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def in_folder(request: pytest.FixtureRequest, folder: Path) -> Storage:
    """A folder that is not there yet."""
    return open_storage(f"file://{folder}/deep/videos", folder / "unused")


def in_bucket(request: pytest.FixtureRequest, folder: Path) -> Storage:
    """A prefix of a new bucket."""
    buckets: Buckets = request.getfixturevalue("buckets")
    return open_storage(f"s3://{buckets.new()}/some/videos", folder / "uploads")


@pytest.fixture(params=[in_folder, in_bucket])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    make: Callable[[pytest.FixtureRequest, Path], Storage] = request.param
    return make(request, tmp_path)


def keep(storage: Storage, name: str, content: bytes) -> None:
    """Write a file."""
    with storage.writing(name) as file:
        file.write(content)


def parts(storage: Storage) -> list[str]:
    """What lies on this machine besides whole files."""
    return [path.name for path in storage.folder.rglob("*.part")]


def test_written_file_is_there(storage: Storage) -> None:
    """After the block the file is whole; within it, it lies where its name says."""
    with storage.writing(NAME) as file:
        file.write(b"half")
        assert not storage.exists(NAME)
        file.write(b" whole")
        file.flush()
        assert b"half whole" == Path(file.name).read_bytes()
        file.seek(0)
        assert b"half whole" == file.read()

    assert (b"half whole", True) == (storage.read(NAME), storage.exists(NAME))
    with storage.local(NAME) as path:
        assert b"half whole" == path.read_bytes()
    assert ([NAME], []) == (list(storage.names("vid")), parts(storage))


def test_taken_file_is_there(storage: Storage, tmp_path: Path) -> None:
    """A file of this machine is taken over whole, and may then be removed."""
    path = tmp_path / "somewhere" / "else"
    path.parent.mkdir()
    path.write_bytes(b"whole")
    path.chmod(0o600)
    storage.take(path, NAME)
    path.unlink(missing_ok=True)

    assert (b"whole", True) == (storage.read(NAME), storage.exists(NAME))
    assert ([NAME], []) == (list(storage.names("vid")), parts(storage))


@pytest.mark.parametrize("ending", [*VIDEO_TYPES, "jpg", "png", "webp"])
def test_kinds(storage: Storage, ending: str) -> None:
    """Every kind of film and image can be kept, and has a media type."""
    name = NAME.replace("mp4", ending)
    keep(storage, name, b"whole")

    assert (b"whole", [name]) == (storage.read(name), list(storage.names("vid")))
    assert "/" in media_type_of(name)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, OSError])
def test_error_leaves_nothing(storage: Storage, error: type[BaseException]) -> None:
    """A block that ends in an error leaves no file, not even a part of one."""
    with pytest.raises((error, StorageError)), storage.writing(NAME) as file:
        file.write(b"half")
        raise error

    assert (False, []) == (storage.exists(NAME), parts(storage))


def test_error_keeps_the_old_file(storage: Storage) -> None:
    """Writing again in vain leaves what was there; writing again replaces it."""
    keep(storage, NAME, b"old")
    with pytest.raises(ZeroDivisionError), storage.writing(NAME) as file:
        file.write(b"new")
        _ = 1 / 0
    assert b"old" == storage.read(NAME)
    keep(storage, NAME, b"new")

    assert b"new" == storage.read(NAME)


def test_two_writers(storage: Storage) -> None:
    """Two that write one name leave one of the two, whole."""
    contents = [bytes([number]) * 200_000 for number in range(4)]
    threads = [threading.Thread(target=keep, args=(storage, NAME, c)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert storage.read(NAME) in contents
    assert [] == parts(storage)


def test_large_file_from_any_place(storage: Storage) -> None:
    """A file larger than one upload's part is read back from wherever it is asked for."""
    content = os.urandom(11 * 1024**2)
    keep(storage, NAME, content)

    with storage.open(NAME) as file:
        assert len(content) == file.seek(0, os.SEEK_END)
        assert 7_000_000 == file.seek(7_000_000)
        assert content[7_000_000:9_000_000] == file.read(2_000_000)
        assert b"" == (file.seek(0, os.SEEK_END), file.read(1))[1]
    with storage.local(NAME) as path:
        assert content == path.read_bytes()


def test_no_such_file(storage: Storage) -> None:
    """What is not there is reported as missing, by each way to read it."""
    for read in (storage.open, storage.read):
        with pytest.raises(FileMissing, match=NAME):
            read(NAME)
    with pytest.raises(FileMissing), storage.local(NAME):
        pass
    assert not storage.exists(NAME)


def test_delete(storage: Storage) -> None:
    """Deleting is final, and harmless when it was done before."""
    keep(storage, NAME, b"x")
    storage.delete(NAME)
    storage.delete(NAME)

    assert (False, []) == (storage.exists(NAME), list(storage.names("vid")))


def test_names(storage: Storage) -> None:
    """Files are listed by kind, and only whole ones."""
    for name in [*IMAGES, NAME, NAME.replace("mp4", "jpg")]:
        keep(storage, name, b"x")
    with storage.writing(f"img_{9:032x}.png"):
        found = sorted(storage.names("img"))

    assert (IMAGES, 2) == (found, len(list(storage.names("vid"))))
    assert [] == list(storage.names("xyz"))


def test_tidy(storage: Storage) -> None:
    """What a killed writer left goes after a while; what is being written stays."""
    keep(storage, NAME, b"whole")
    with storage.writing(IMAGES[0]) as file:
        left = Path(file.name).with_name(f"{NAME}.dead.part")
        left.write_bytes(b"half")
        assert 0 == storage.delete_partials(LONG_AGO)
        os.utime(left, (1_000_000_000, 1_000_000_000))

        assert 1 == storage.delete_partials(datetime(2020, 1, 1, tzinfo=UTC))
        assert [Path(file.name).name] == parts(storage)
    assert (0, b"whole") == (storage.delete_partials(LATER), storage.read(NAME))


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
def test_foreign_names(storage: Storage, name: str) -> None:
    """A name that we did not make leads nowhere, in or out of the storage."""
    with pytest.raises(StorageError, match="not a name of ours"), storage.writing(name):
        pass
    with pytest.raises(StorageError, match="not a name of ours"), storage.local(name):
        pass
    for act in (storage.exists, storage.delete, storage.open, storage.read, storage.key):
        with pytest.raises(StorageError, match="not a name of ours"):
            act(name)


def test_check(storage: Storage) -> None:
    """A place that can be written passes, and stays clean."""
    storage.check()

    assert ([], []) == (list(storage.names("")), parts(storage))
