"""
Decodes one frame of each film that it is asked for; a process of its own.

A film comes from outside, and may send a decoder into gigabytes, into a loop
or into a crash. Here that ends this process and nothing else; see `decoding`.
A request is a line of JSON on stdin; the answer is a line of JSON on stdout
and the pixels behind it. Imports nothing of this service, so that it starts fast.
"""

from __future__ import annotations

import gc
import json
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

#: Of processor time for one film; wall time is the parent's to watch.
CPU_SECONDS = 20
#: A poster shows the film after this part of its length.
POSTER_SHARE = 1 / 3
_AS_STORED = (1, 0, 0, 1)


class _NoVerdict(Exception):
    """Nothing can be said of the film here; another decoder may play it."""


def main() -> None:
    """Answer requests until stdin ends; the argument is how many bytes of memory there are."""
    # A service manager tells every process to stop; this one ends with its parent's last film.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # What is loaded by now stays, and is not looked through after each film.
    gc.freeze()
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        head, pixels = answer(json.loads(line))
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()
        # A film and its streams refer to each other, and hold megabytes of frames until then.
        gc.collect()


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The answer's line, and the pixels behind it."""
    # The protocol is named, so that neither a file's name nor a film leads elsewhere.
    options = {"max_pixels": str(request["max_pixels"]), "protocol_whitelist": "file"}
    path, demuxer = f"file:{request['path']}", request["demuxer"]
    try:
        with av.open(path, "r", demuxer, options, metadata_errors="ignore") as container:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
                return {"verdict": "broken", "reason": "it has no picture"}, b""
            return _Film(container, stream, request["max_pixels"]).poster(request["box"])
    except (_NoVerdict, MemoryError, NotImplementedError) as error:
        return {"verdict": "unknown", "reason": str(error) or type(error).__name__}, b""
    # What is damaged in its head makes PyAV raise anything, down to AttributeError.
    except Exception as error:
        reason = f"it cannot be decoded ({type(error).__name__})"
        return {"verdict": "broken", "reason": reason}, b""


class _Film:
    """A film's picture track, and its decoder."""

    def __init__(self, container: InputContainer, stream: VideoStream, max_pixels: int) -> None:
        self._container, self._stream = container, stream
        decoder: VideoCodecContext | None = stream.codec_context
        if decoder is None:
            raise _NoVerdict("there is no decoder for it")
        if stream.width * stream.height > max_pixels:
            raise _NoVerdict(f"{stream.width} × {stream.height} is too large to decode")
        # Each thread would hold frames of its own, and one frame is all that is wanted.
        decoder.thread_count = 1
        decoder.thread_type = "NONE"
        decoder.options = {"max_pixels": str(max_pixels)}
        self._decoder = decoder

    def poster(self, box: list[int]) -> tuple[dict[str, Any], bytes]:
        """A frame that fits into the box once it is upright, as RGB with square pixels."""
        frame = self._find_frame()
        ratio = self._stream.sample_aspect_ratio or self._decoder.sample_aspect_ratio or Fraction(1)
        matrix = _AS_STORED
        sides: Any = frame.side_data
        if "DISPLAYMATRIX" in sides:
            a, b, _, c, d = struct.unpack_from("=5i", bytes(sides["DISPLAYMATRIX"]))
            matrix = (a, b, c, d)
        a, b, c, d = matrix
        wide, high = box[::-1] if abs(b) + abs(c) > abs(a) + abs(d) else box
        shown = float(frame.width * ratio)
        scale = min(wide / shown, high / frame.height)
        width, height = max(1, round(shown * scale)), max(1, round(frame.height * scale))
        small = frame.reformat(width, height, "rgb24", threads=1)
        head = {
            "verdict": "frame",
            "seconds": self._seconds(),
            "stored": (frame.width, frame.height),
            "pixel_ratio": (ratio.numerator, ratio.denominator),
            "matrix": matrix,
            "size": (small.width, small.height),
            "stride": small.planes[0].line_size,
            "bytes": small.planes[0].buffer_size,
        }
        return head, bytes(small.planes[0])

    def _find_frame(self) -> VideoFrame:
        """The last keyframe before a part of the film, else any frame that can be decoded."""
        start = int((self._container.duration or 0) * POSTER_SHARE)
        # Not every kind of file can be sought in, and where none is a keyframe all are decoded.
        for offset, keys_only in ((start, True), (0, True), (0, False)):
            with suppress(av.FFmpegError):
                self._container.seek(offset)
            for frame in self._frames(keys_only):
                return frame
        raise av.InvalidDataError(0, "no frame")

    def _frames(self, keys_only: bool) -> Iterator[VideoFrame]:
        for packet in self._container.demux(self._stream):
            if keys_only and not packet.is_keyframe:
                continue
            with suppress(av.InvalidDataError, av.EOFError):
                yield from self._decoder.decode(packet)
                if keys_only:
                    # It need not wait for the frames that are shown before it.
                    yield from self._decoder.decode(None)
            if keys_only:
                self._decoder.flush_buffers()

    def _seconds(self) -> float | None:
        """By the container, else by the last of its packets."""
        container, stream = self._container, self._stream
        if container.duration and container.duration > 0:
            return container.duration / av.time_base
        base, end = stream.time_base or 0, 0
        with suppress(av.FFmpegError):
            container.seek(0)
            for packet in container.demux(stream):
                end = max(end, (packet.pts or 0) + (packet.duration or 0))
        return float((end - (stream.start_time or 0)) * base) or None


if __name__ == "__main__":
    main()
