"""Downloads: in several goes where the server allows, and never a wrong byte."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.file_server import FileServer, Turn, original, says
from support.harness import NOON

from service.outbound.client import Outbound
from service.storage import StorageError
from service.videos import downloads
from service.videos.downloads import DownloadError, opened

CONTENT = bytes(range(256)) * 1000
CAP = 1_000_000
WHOLE = Turn(original(CONTENT), etag='"one"')
CUT = replace(WHOLE, cut=100_000)
OTHER = bytes(reversed(CONTENT))


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """A guarded client that may reach loopback."""
    made = Outbound(("127.0.0.0/8",))
    yield made
    made.close()


class Copier:
    """Goes at one file."""

    def __init__(self, outbound: Outbound, folder: Path) -> None:
        self.outbound, self.folder = outbound, folder
        self.got: bytes | None = None

    def go(self, server: FileServer, cap: int = CAP) -> DownloadError | None:
        """One go; what was wrong with it."""
        try:
            with opened(self.folder, "vid_1", NOON) as download:
                download.fetch(self.outbound, server.url + "/a", 10, cap)
                got, digest = download.path.read_bytes(), download.sha256
        except DownloadError as error:
            return error
        self.got = got
        assert hashlib.sha256(self.got).hexdigest() == digest
        return None

    def goes(self, server: FileServer, count: int) -> DownloadError | None:
        """So many goes, all but the last of which fail; how the last one went."""
        for _ in range(count - 1):
            assert self.go(server) is not None
        return self.go(server)


@pytest.fixture
def copier(outbound: Outbound, tmp_path: Path) -> Copier:
    """A client and a folder that is not there yet."""
    return Copier(outbound, tmp_path / "downloads")


def ranges(server: FileServer) -> list[tuple[str | None, str | None]]:
    """What each request asked for."""
    return [(asked.get("range"), asked.get("if-range")) for asked in server.asked]


def test_in_one_go(copier: Copier) -> None:
    """A file that comes at once is whole, and its digest reported."""
    with FileServer(WHOLE) as server:
        assert None is copier.go(server)
        assert [(None, None)] == ranges(server)

    assert CONTENT == copier.got


def test_goes_on_where_it_broke_off(copier: Copier) -> None:
    """After a broken connection only the rest of the same version is asked for."""
    with FileServer(CUT, CUT, WHOLE) as server:
        first, second, third = copier.go(server), copier.go(server), copier.go(server)
        asked = ranges(server)

    assert first and second and not third
    assert CONTENT == copier.got
    # The piece in which the connection broke is not kept.
    places = [0, first.gained, first.gained + second.gained]
    assert [(None, None), *[(f"bytes={place}-", '"one"') for place in places[1:]]] == asked
    assert 0 < places[1] < places[2] < len(CONTENT)


@pytest.mark.parametrize(
    "later",
    [
        replace(WHOLE, ranges=False),
        Turn(original(CONTENT)),
        replace(WHOLE, etag='W/"one"'),
    ],
)
def test_server_without_ranges(copier: Copier, later: Turn) -> None:
    """A server that sends the whole again is taken at its word: the file starts again."""
    with FileServer(CUT, later) as server:
        assert None is copier.goes(server, 2)

    assert CONTENT == copier.got


SIZE = len(CONTENT)


@pytest.mark.parametrize("part", [f"bytes 0-{SIZE - 1}/{SIZE}", f"BYTES  0-{SIZE - 1}/*"])
def test_whole_as_a_part(copier: Copier, part: str) -> None:
    """A server that calls the whole a part, although none was asked for, has sent it."""
    with FileServer(Turn(original(CONTENT), 206, {"Content-Range": part})) as server:
        assert None is copier.go(server)

    assert CONTENT == copier.got


def test_part_that_was_not_asked_for(copier: Copier) -> None:
    """A server that sends the file in parts from the start is asked for the rest."""
    part = {"Content-Range": f"bytes 0-99999/{SIZE}"}
    start = Turn(original(CONTENT[:100_000]), 206, part, etag='"one"')
    with FileServer(start, WHOLE) as server:
        assert None is copier.goes(server, 2)
        assert [(None, None), ("bytes=100000-", '"one"')] == ranges(server)

    assert CONTENT == copier.got


def test_rest_of_unknown_length(copier: Copier) -> None:
    """Who does not know the length in a later part has reported it before."""
    with FileServer(CUT, replace(WHOLE, headers={"Content-Range": ""})) as server:
        first = copier.go(server)
        assert first is not None
        server.turns[1] = Turn(
            original(CONTENT[first.gained :]),
            206,
            {"Content-Range": f"bytes {first.gained}-{SIZE - 1}/*"},
            etag='"one"',
            ranges=False,
        )
        assert None is copier.go(server)

    assert CONTENT == copier.got


CODED = Turn(original(gzip.compress(CONTENT, 0)), headers={"Content-Encoding": "gzip"}, etag='"z"')


def test_coded_file(copier: Copier) -> None:
    """A coded file is kept decoded; one that broke off starts again: its ranges are not ours."""
    with FileServer(replace(CODED, cut=100_000), CODED) as server:
        assert None is copier.goes(server, 2)
        assert [(None, None)] * 2 == ranges(server)

    assert CONTENT == copier.got


def test_coded_rest(copier: Copier) -> None:
    """Bytes of another coding are not put behind those that came."""
    coded = replace(WHOLE, headers={"Content-Encoding": "gzip"})
    with FileServer(CUT, coded, WHOLE) as server:
        assert None is copier.goes(server, 3)
        assert (None, None) == ranges(server)[2]

    assert CONTENT == copier.got


def test_coded_file_has_the_same_cap(copier: Copier) -> None:
    """It counts once it is decoded."""
    with FileServer(CODED) as server:
        error = copier.go(server, cap=SIZE - 1)
        assert None is copier.go(server, cap=SIZE * 2)

    assert error is not None
    assert error.hopeless


@pytest.mark.parametrize("etag", ["", 'W/"one"', "one"])
def test_version_without_a_name(copier: Copier, etag: str) -> None:
    """Where no strong ETag promises the same bytes, nothing is put together from two answers."""
    with FileServer(replace(CUT, etag=etag), replace(WHOLE, etag=etag)) as server:
        assert None is copier.goes(server, 2)
        assert [(None, None)] * 2 == ranges(server)

    assert CONTENT == copier.got


def test_file_has_changed(copier: Copier) -> None:
    """Half of one version and half of another make no file."""
    with FileServer(CUT, Turn(original(OTHER), etag='"two"')) as server:
        assert None is copier.goes(server, 2)

    assert OTHER == copier.got


WRONG = [
    {"Content-Range": "bytes 5-9/256000"},
    {"Content-Range": "bytes */256000"},
    {"Content-Range": "nonsense"},
    {"ETag": '"two"'},
]


@pytest.mark.parametrize("headers", WRONG)
def test_another_part_than_asked(copier: Copier, headers: dict[str, str]) -> None:
    """A part from elsewhere, or of another version, is thrown away with all before it."""
    with FileServer(CUT, replace(WHOLE, headers=headers), WHOLE) as server:
        assert None is copier.goes(server, 3)
        assert (None, None) == ranges(server)[2]

    assert CONTENT == copier.got


def test_part_that_nobody_asked_for(copier: Copier) -> None:
    """A part in answer to a question for the whole is no file."""
    part = Turn(original(b"x" * 10), 206, {"Content-Range": "bytes 0-9/20"})
    with FileServer(part, WHOLE) as server:
        assert None is copier.goes(server, 2)

    assert CONTENT == copier.got


def test_range_is_refused(copier: Copier) -> None:
    """416 means that our part is wrong: the next go asks for the whole."""
    with FileServer(CUT, says(416), WHOLE) as server:
        assert None is copier.goes(server, 3)
        assert (None, None) == ranges(server)[2]

    assert CONTENT == copier.got


def test_server_falls_short(copier: Copier) -> None:
    """A rest that is shorter than announced is kept, and gone on with."""
    with FileServer(CUT) as server:
        copier.go(server)
        start = _marked(copier)["size"]
        report = f"bytes {start}-{start + 999}/{len(CONTENT)}"
        part = {"Content-Range": report, "Content-Length": "1000"}
        server.turns += [replace(WHOLE, headers=part, cut=1000), WHOLE]
        error = copier.go(server)
        assert error is not None
        assert 1000 == error.gained
        assert None is copier.go(server)

    assert CONTENT == copier.got


def _marked(copier: Copier) -> dict[str, int]:
    found: dict[str, int] = json.loads((copier.folder / "vid_1.mark").read_text())
    return found


@pytest.mark.parametrize(("status", "gone"), [(403, True), (404, True), (410, True), (500, False)])
def test_link_does_not_answer(copier: Copier, status: int, gone: bool) -> None:
    """An error's page is not read into the file, and what had come stays."""
    with FileServer(CUT, says(status, b"<html>"), WHOLE) as server:
        copier.go(server)
        error = copier.go(server)
        assert error is not None
        assert (gone, False, 0) == (error.gone, error.hopeless, error.gained)
        assert None is copier.go(server)
        assert ranges(server)[2][0]

    assert CONTENT == copier.got


@pytest.mark.parametrize("length", ["", str(len(CONTENT))])
def test_too_large(copier: Copier, length: str) -> None:
    """What is beyond the cap ends the tries and leaves nothing, whether it was announced or not."""
    turn = replace(WHOLE, headers={"Content-Length": length})
    with FileServer(turn) as server:
        error = copier.go(server, cap=len(CONTENT) - 1)

    assert error is not None
    assert (True, 0) == (error.hopeless, error.gained)
    assert [0] == [path.stat().st_size for path in copier.folder.iterdir()]


def test_too_large_only_together(copier: Copier) -> None:
    """The cap is for the whole file, not for each part of it."""
    with FileServer(CUT, WHOLE) as server:
        copier.go(server)
        error = copier.go(server, cap=len(CONTENT) - 1)

    assert error is not None
    assert error.hopeless


def test_worker_was_killed(copier: Copier) -> None:
    """What lies behind the last mark is not believed: it may be anything after a power cut."""
    with FileServer(CUT, WHOLE) as server:
        copier.go(server)
        safe = _marked(copier)["size"]
        with (copier.folder / "vid_1.part").open("ab") as file:
            file.write(b"garbage")
        assert None is copier.go(server)
        assert f"bytes={safe}-" == ranges(server)[1][0]

    assert CONTENT == copier.got


@pytest.mark.parametrize(
    "mark", ["", "{}", "[]", '{"size": 5}', '{"etag": "\\"one\\"", "size": 9e9}']
)
def test_mark_is_damaged(copier: Copier, mark: str) -> None:
    """A mark that is no use is no harm."""
    with FileServer(CUT, WHOLE) as server:
        copier.go(server)
        (copier.folder / "vid_1.mark").write_text(mark)
        assert None is copier.go(server)

    assert CONTENT == copier.got


def test_part_is_gone(copier: Copier) -> None:
    """A mark without its file is no harm either."""
    with FileServer(CUT, WHOLE) as server:
        copier.go(server)
        (copier.folder / "vid_1.part").unlink()
        assert None is copier.go(server)

    assert CONTENT == copier.got


def test_marked_on_the_way(copier: Copier) -> None:
    """A long file is put safely on disk again and again, not only at its end."""
    size = downloads.MARK_BYTES + 5_000_000
    stuck = Turn(replace(original(CONTENT), size=size), etag='"one"', cut=size - 1_000_000)
    with FileServer(stuck) as server:
        with opened(copier.folder, "vid_1", NOON) as download, pytest.raises(DownloadError):
            download.fetch(copier.outbound, server.url, 10, 2 * size)
        first = _marked(copier)["size"]

    assert size - 1_100_000 < first < size


def test_whole_file_is_not_asked_for_twice(copier: Copier) -> None:
    """If only its storing failed, the file that has come is used again."""
    with FileServer(replace(WHOLE, etag="")) as server:
        assert None is copier.goes(server, 1)
        copier.got = None
        assert None is copier.go(server)
        assert 1 == len(server.paths)

    assert CONTENT == copier.got


def test_restart(copier: Copier) -> None:
    """A file that turned out to be no good is fetched again, whole."""
    with FileServer(WHOLE) as server:
        copier.go(server)
        with opened(copier.folder, "vid_1", NOON) as download:
            download.restart()
        assert None is copier.go(server)
        assert [(None, None)] * 2 == ranges(server)


def test_two_at_one_file(copier: Copier) -> None:
    """The second is turned away, and does no harm to the first."""
    with FileServer(WHOLE) as server, opened(copier.folder, "vid_1", NOON) as download:
        error = copier.go(server)
        download.fetch(copier.outbound, server.url, 10, CAP)
        got = download.path.read_bytes()

    assert "another worker" in str(error)
    assert CONTENT == got


def test_removed(copier: Copier) -> None:
    """Afterwards nothing is left behind."""
    with FileServer(WHOLE) as server:
        copier.go(server)
        with opened(copier.folder, "vid_1", NOON) as download:
            download.remove()

    assert [] == list(copier.folder.iterdir())


def test_old_parts_go(copier: Copier) -> None:
    """What nobody goes on with is forgotten after days; the rest is not touched."""
    copier.folder.mkdir()
    days = {"old.part": 3, "old.mark": 3, "new.part": 1, "new.mark": 3}
    for name, age in ((name, timedelta(days=count)) for name, count in days.items()):
        (copier.folder / name).touch()
        moment = (NOON - age).timestamp()
        os.utime(copier.folder / name, (moment, moment))
    with opened(copier.folder, "vid_1", NOON):
        pass

    left = sorted(path.name for path in copier.folder.iterdir())
    assert ["new.mark", "new.part", "vid_1.part"] == left


def test_disk_does_not_take_it(copier: Copier) -> None:
    """A folder that cannot be written to is reported with its name."""
    copier.folder.touch()
    with (
        pytest.raises(StorageError, match=r"cannot write .*vid_1\.part"),
        opened(copier.folder, "vid_1", NOON),
    ):
        pass
