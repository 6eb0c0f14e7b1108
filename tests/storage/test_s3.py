"""The bucket: URLs that it serves itself, and troubles reported in one line."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.buckets import Buckets
from support.servers import free_port

from service.errors import SettingsError
from service.storage import Storage, StorageError, open_storage

NAME = "vid_" + "0123456789abcdef" * 2 + ".mp4"
CONTENT = bytes(range(256)) * 8


@pytest.fixture
def storage(buckets: Buckets, tmp_path: Path) -> Storage:
    """A bucket with one video."""
    made = open_storage(f"s3://{buckets.new()}/clips", tmp_path)
    with made.writing(NAME) as file:
        file.write(CONTENT)
    return made


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, whatever the status."""
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}, error.read()


def test_presigned(storage: Storage, buckets: Buckets) -> None:
    """The bucket itself sends the video to whoever has the URL, in parts too, as a video."""
    url = storage.presigned(NAME, "GET", 60) or ""
    status, headers, body = ask(url, Range="bytes=3-9")

    assert (206, CONTENT[3:10]) == (status, body)
    assert "video/mp4" == headers["content-type"]
    assert url.startswith(f"{storage.origin}/") and storage.origin == buckets.endpoint


def test_kinds(storage: Storage) -> None:
    """The bucket knows what each file is."""
    name = NAME.replace("mp4", "webm")
    with storage.writing(name) as file:
        file.write(CONTENT)
    _, headers, _ = ask(storage.presigned(name, "GET", 60) or "")

    assert "video/webm" == headers["content-type"]


def test_presigned_head(storage: Storage) -> None:
    """A URL for HEAD tells the length."""
    status, headers, body = ask(storage.presigned(NAME, "HEAD", 60) or "", "HEAD")

    assert (200, str(len(CONTENT)), b"") == (status, headers["content-length"], body)


def test_no_bucket(buckets: Buckets, tmp_path: Path) -> None:
    """A bucket that is not there is a problem to fix, not a missing file."""
    storage = open_storage("s3://nowhere-at-all/x", tmp_path)
    for act in (storage.check, lambda: storage.read(NAME)):
        with pytest.raises(StorageError, match=r"s3://nowhere-at-all/x.*NoSuchBucket") as caught:
            act()
        assert "\n" not in str(caught.value)
        assert StorageError is type(caught.value)


def test_server_is_away(buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is reported by every call, and nothing is left behind."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    storage = open_storage("s3://clips", tmp_path)
    for act in (storage.exists, storage.delete, storage.open, storage.read):
        with pytest.raises(StorageError, match="s3://clips"):
            act(NAME)
    with pytest.raises(StorageError), storage.writing(NAME) as file:
        file.write(CONTENT)
    with pytest.raises(StorageError):
        storage.check()
    with pytest.raises(StorageError):
        list(storage.names("img"))

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "words"),
    [
        *[(f"clips/{bad}", "no part of the prefix") for bad in ("..", "a/../b", "./a", "a//b")],
        ("clips/a%2F%2Fb", "no part of the prefix"),
        ("clips/a%00b", "must not hold %00"),
        *[(f"clips/a{bad}b", "no control characters") for bad in ("%0A", "%09", "%7F")],
        *[(bad, "AWS_ENDPOINT_URL") for bad in ("id:secret@clips/x", "clips:9000", "my clips/x")],
    ],
)
def test_no_place_in_a_bucket(place: str, words: str, tmp_path: Path) -> None:
    """What names no bucket with a prefix is a setting to correct; no secret is repeated."""
    with pytest.raises(SettingsError, match=words) as caught:
        open_storage(f"s3://{place}", tmp_path)

    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "/", "/a/", "/my%20clips", "/ü", "/%E4"])
def test_prefixes(prefix: str, buckets: Buckets, tmp_path: Path) -> None:
    """Any name may be a prefix, with or without a slash at its end."""
    storage = open_storage(f"S3://{buckets.new()}{prefix}", tmp_path)
    with storage.writing(NAME) as file:
        file.write(CONTENT)

    assert (CONTENT, [NAME]) == (storage.read(NAME), list(storage.names(NAME.partition("_")[0])))


def test_two_prefixes(buckets: Buckets, tmp_path: Path) -> None:
    """Two prefixes of one bucket know nothing of each other."""
    bucket = buckets.new()
    one, other = (open_storage(f"s3://{bucket}/{p}", tmp_path) for p in ("one", "other"))
    with one.writing(NAME) as file:
        file.write(CONTENT)

    assert (True, False) == (one.exists(NAME), other.exists(NAME))
    assert ([NAME], []) == (list(one.names("vid")), list(other.names("vid")))
