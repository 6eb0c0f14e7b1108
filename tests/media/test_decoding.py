"""The decoder's process: a film may hang it, bloat it or end it, and no other film notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.film import film, record
from support.servers import eventually

from service.media.containers import BrokenMovie
from service.media.decoding import MAX_PIXELS, Decoder, Frame, NoVerdict

PARENT = """
import pathlib, sys
from service.media.decoding import Decoder
decoder = Decoder()
decoder.frame_of(pathlib.Path(sys.argv[1]), "mov")
print(decoder.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    """One whose process starts with the first film."""
    made = Decoder()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A film of three seconds."""
    return keep(tmp_path, film())


def keep(folder: Path, content: bytes, name: str = "a.mp4") -> Path:
    """A file of this content."""
    path = folder / name
    path.write_bytes(content)
    return path


def runs(pid: int | None) -> bool:
    """Whether a child of ours of that number has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


def status(pid: int | None, name: str) -> int:
    """A number of a process's status, in bytes where it is one of memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024


def colour(frame: Frame) -> tuple[int, ...]:
    """The first pixel."""
    return tuple(frame.pixels[:3])


def test_frame(decoder: Decoder, path: Path) -> None:
    """A frame of the first third comes in a poster's size, with how it is to be shown."""
    frame = decoder.frame_of(path, "mov")
    red, green, blue = colour(frame)

    assert (3.0, (64, 36), (640, 360)) == (frame.seconds, frame.stored, frame.size)
    assert red > 200 > 60 > max(green, blue)
    assert frame.stride * 360 == len(frame.pixels)


def test_one_process_for_all(decoder: Decoder, path: Path) -> None:
    """Films that come at once share a process, and each gets its own frame."""
    frames: dict[int, Frame] = {}
    pids: set[int | None] = set()
    films = [keep(path.parent, film(8 * n, 8), f"{n}.mp4") for n in range(1, 7)]

    def decode(number: int) -> None:
        frames[number] = decoder.frame_of(films[number], "mov")
        pids.add(decoder.pid)

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(8 * n, 8) for n in range(1, 7)] == [frames[n].stored for n in range(6)]
    assert {decoder.pid} == pids


def test_keyframe_in_the_middle(decoder: Decoder, tmp_path: Path) -> None:
    """The frame is the last keyframe of the first third, not what follows on it."""
    path = keep(tmp_path, record(frames=300, keyframe_every=99))
    red, _, blue = colour(decoder.frame_of(path, "mov"))

    assert red > 200 > 60 > blue


@pytest.mark.timeout(30)
def test_film_that_hangs(path: Path) -> None:
    """A film that keeps the decoder for too long ends it; the next is decoded as usual."""
    decoder = Decoder(seconds=2.0)
    endless = path.with_name("endless.mp4")
    os.mkfifo(endless)
    try:
        with pytest.raises(NoVerdict, match="ended with -9"):
            decoder.frame_of(endless, "mov")
        assert decoder.pid is None
        assert (64, 36) == decoder.frame_of(path, "mov").stored
    finally:
        decoder.close()


def test_film_that_wants_too_much_memory(path: Path) -> None:
    """A picture that does not fit is not decoded; the next film is decoded as usual."""
    content = record(4096, 2160, 1, kind="mov", codec="prores_ks", pixels="yuv422p10le")
    large = keep(path.parent, content)
    decoder = Decoder(memory=144 * 1024**2)
    try:
        with pytest.raises(NoVerdict, match="memory"):
            decoder.frame_of(large, "mov")
        assert (64, 36) == decoder.frame_of(keep(path.parent, film()), "mov").stored
    finally:
        decoder.close()


@pytest.mark.parametrize(("kind", "demuxer"), [("mp4", "mov"), ("ts", "mpegts")])
def test_picture_that_is_too_large(tmp_path: Path, kind: str, demuxer: str) -> None:
    """A picture above the bound is not decoded, whoever says its size."""
    path = keep(tmp_path, record(kind=kind))
    decoder = Decoder(max_pixels=64 * 36 - 1)
    try:
        with pytest.raises(NoVerdict, match=r"64 × 36 is too large"):
            decoder.frame_of(path, demuxer)
    finally:
        decoder.close()


def test_memory(decoder: Decoder, tmp_path: Path) -> None:
    """One frame of a large film is held, not one for each thread and each reference."""
    path = keep(tmp_path, record(3840, 2160, 3))
    decoder.frame_of(path, "mov")

    assert MAX_PIXELS > 3840 * 2160
    assert status(decoder.pid, "VmHWM") < 80e6


def test_memory_of_many_films(decoder: Decoder, tmp_path: Path) -> None:
    """What a film took is given back before the next, not when there is a lot of it."""
    path = keep(tmp_path, record(1280, 720, 50))
    decoder.frame_of(path, "mov")
    before = status(decoder.pid, "VmHWM")
    for _ in range(20):
        decoder.frame_of(path, "mov")

    assert status(decoder.pid, "VmHWM") < before + 10e6


def test_broken_film_is_judged_twice(decoder: Decoder, path: Path, tmp_path: Path) -> None:
    """Only a new process may call a film broken; what one that is used says is asked again."""
    broken = keep(tmp_path, b"no film", "b.mp4")
    decoder.frame_of(path, "mov")
    used = decoder.pid
    with pytest.raises(BrokenMovie):
        decoder.frame_of(broken, "mov")
    new = decoder.pid

    assert not runs(used)
    assert runs(new)
    assert (64, 36) == decoder.frame_of(path, "mov").stored
    assert new == decoder.pid


def test_films_of_one_process(path: Path) -> None:
    """A process makes way for another before what FFmpeg keeps of each film adds up."""
    decoder = Decoder(films=2)
    pids = []
    for _ in range(5):
        decoder.frame_of(path, "mov")
        pids.append(decoder.pid)
    first, second, third, fourth, fifth = pids
    decoder.close()

    assert (first, third) == (second, fourth)
    assert 3 == len({first, third, fifth})
    assert not any(map(runs, pids))


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGSEGV])
def test_process_that_was_lost(decoder: Decoder, path: Path, name: signal.Signals) -> None:
    """A process that has ended between two films is followed by another."""
    decoder.frame_of(path, "mov")
    pid = decoder.pid or 0
    os.kill(pid, name)
    eventually(lambda: not runs(pid))

    assert (64, 36) == decoder.frame_of(path, "mov").stored
    assert decoder.pid != pid


def test_film_that_crashes_it(decoder: Decoder, path: Path) -> None:
    """A process that ends over a film says nothing of it; the next film is decoded as usual."""
    endless = path.with_name("endless.mp4")
    os.mkfifo(endless)
    decoder.frame_of(path, "mov")
    pid = decoder.pid
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGSEGV))
    killer.start()
    with pytest.raises(NoVerdict, match="ended with -11"):
        decoder.frame_of(endless, "mov")
    killer.join()

    assert (64, 36) == decoder.frame_of(path, "mov").stored


@pytest.mark.parametrize(
    ("content", "demuxer", "says"),
    [
        (b"", "mov", "cannot be decoded"),
        (b"ftyp" * 99, "mov", "cannot be decoded"),
        (film(), "matroska", "cannot be decoded"),
        (film()[:-600], "nonsense", "cannot be decoded"),
    ],
)
def test_no_film(decoder: Decoder, tmp_path: Path, content: bytes, demuxer: str, says: str) -> None:
    """A file without a frame is distinguished from a decoder that was lost."""
    with pytest.raises(BrokenMovie, match=says):
        decoder.frame_of(keep(tmp_path, content), demuxer)

    assert runs(decoder.pid)


def test_names_that_mean_something_to_ffmpeg(
    decoder: Decoder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is a file, whatever its name looks like."""
    odd = keep(path.parent, film(), "http:é %d.mp4")
    monkeypatch.chdir(path.parent)

    assert (64, 36) == decoder.frame_of(odd, "mov").stored
    assert (64, 36) == decoder.frame_of(Path(odd.name), "mov").stored


def test_no_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started there is no verdict."""
    decoder = Decoder()
    monkeypatch.setattr("sys.executable", str(path))

    with pytest.raises(NoVerdict):
        decoder.frame_of(path, "mov")


def test_stopping_all_processes(decoder: Decoder, path: Path) -> None:
    """A service manager that stops every process does not cost a film that is under way."""
    decoder.frame_of(path, "mov")
    pid = decoder.pid or 0
    os.kill(pid, signal.SIGTERM)

    assert (64, 36) == decoder.frame_of(path, "mov").stored
    assert pid == decoder.pid


def test_parent_that_was_killed(path: Path) -> None:
    """The process ends when its parent does, however that ends."""
    command = [sys.executable, "-c", PARENT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.kill()

    eventually(lambda: not runs(pid))


def test_closed(decoder: Decoder, path: Path) -> None:
    """A closed decoder leaves no process, and may be used again."""
    decoder.frame_of(path, "mov")
    pid = decoder.pid
    decoder.close()
    decoder.close()
    assert (None, False) == (decoder.pid, runs(pid))

    assert (64, 36) == decoder.frame_of(path, "mov").stored
