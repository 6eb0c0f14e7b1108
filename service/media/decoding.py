"""
Frames of films, decoded by a process of its own with bounds on its memory and its time.

The process starts with the first film and stays for many, since its start costs
ten times what a frame does. One that is lost is followed by another. Only a new
process may call a film broken: FFmpeg that is short of memory says that of good ones.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock, Timer

from service.errors import ClipbellError
from service.media.containers import BrokenMovie
from service.media.geometry import Matrix

#: Address space, of which libraries take 120 MB, and 8K in its costliest form 250 MB more.
MEMORY_BYTES = 512 * 1024**2
#: For one film, the start of the process included.
DECODE_SECONDS = 20.0
#: A larger picture is never decoded: 8K, 35 million.
MAX_PIXELS = 8192 * 4320
#: A poster fits into this, whichever way the film stands.
POSTER_BOX = (640, 1138)
#: So many for each process: FFmpeg's libraries keep about 4 kB of every film.
FILMS = 5_000
_PROGRAM = Path(__file__).with_name("decoder.py")


class NoVerdict(ClipbellError):
    """Nothing was found out about the film; the message says why."""


@dataclass(frozen=True)
class Frame:
    """
    A frame of a film, shrunk to a poster's size.

    `stored` is the film's width and height in pixels, each as wide as
    `pixel_ratio` times its height. `pixels` are RGB with `stride` bytes a row,
    for `size`; they lie as they are stored, and `matrix` turns them upright.
    """

    seconds: float | None
    stored: tuple[int, int]
    pixel_ratio: Fraction
    matrix: Matrix
    size: tuple[int, int]
    stride: int
    pixels: bytes


class Decoder:
    """
    The process, and the way to ask it; one film at a time.

    Args:
        seconds: for one film, the start of the process included.
        memory: bytes of address space.
        max_pixels: of a picture; a larger one is not decoded.
        films: how many one process decodes.
    """

    def __init__(
        self,
        seconds: float = DECODE_SECONDS,
        memory: int = MEMORY_BYTES,
        max_pixels: int = MAX_PIXELS,
        films: int = FILMS,
    ) -> None:
        self._seconds = seconds
        self._memory = memory
        self._films = films
        self._films_left = 0
        self._bounds = {"max_pixels": max_pixels, "box": POSTER_BOX}
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    @property
    def pid(self) -> int | None:
        """The number of the process, while there is one."""
        return self._process.pid if self._process else None

    def frame_of(self, path: Path, demuxer: str) -> Frame:
        """
        A frame of the film at `path`, which is read as FFmpeg's `demuxer` does.

        Raises:
            BrokenMovie: there is none.
            NoVerdict: it takes too much time or memory, or it ended the process.
        """
        request = {"path": str(path.absolute()), "demuxer": demuxer, **self._bounds}
        with self._lock:
            try:
                return self._judge(json.dumps(request).encode())
            except (OSError, ValueError) as error:
                code = self.close()
                raise NoVerdict(f"the decoder ended with {code}") from error
            except NoVerdict:
                # It may hold on to the memory that was too little.
                self.close()
                raise

    def _judge(self, request: bytes) -> Frame:
        try:
            return self._ask(request)
        except BrokenMovie:
            if self._films_left == self._films - 1:
                raise
            self.close()
            return self._ask(request)

    def _ask(self, request: bytes) -> Frame:
        """Raises ValueError or OSError where the process has ended."""
        process = self._running()
        assert process.stdin and process.stdout  # noqa: S101 - what the library's types leave open
        timer = Timer(self._seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(request + b"\n")
            process.stdin.flush()
            head = json.loads(process.stdout.readline())
            pixels = process.stdout.read(head.get("bytes", 0))
        finally:
            timer.cancel()
        if head["verdict"] == "unknown":
            raise NoVerdict(head["reason"])
        if head["verdict"] != "frame":
            raise BrokenMovie(head["reason"])
        if len(pixels) != head["bytes"]:
            raise ValueError("the decoder's answer breaks off")
        return Frame(
            seconds=head["seconds"] and round(head["seconds"], 3),
            stored=tuple(head["stored"]),
            pixel_ratio=Fraction(*head["pixel_ratio"]),
            matrix=tuple(head["matrix"]),
            size=tuple(head["size"]),
            stride=head["stride"],
            pixels=pixels,
        )

    def _running(self) -> subprocess.Popen[bytes]:
        # A process that was forked from ours must not talk to the same one.
        known = self._process if self._owner == os.getpid() else None
        if known is not None and known.poll() is None and self._films_left > 0:
            self._films_left -= 1
            return known
        self.close()
        if not self._owner:
            atexit.register(self.close)
        command = [sys.executable, "-P", str(_PROGRAM), str(self._memory)]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        # In a session of its own it gets no Ctrl-C that is meant for its parent.
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True
        )
        self._owner = os.getpid()
        self._films_left = self._films - 1
        return self._process

    def close(self) -> int | None:
        """End the process; the code with which it ended, None where there was none of ours."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return None
        process.kill()
        with process:  # Closes its pipes, and waits for its end.
            return process.wait()
