"""
Decodes one frame of each film that it is asked for; a process of its own.

A film comes from outside, and may send a decoder into gigabytes, into a loop
or into a crash. Here that ends this process and nothing else; see `decoding`.
A request is a line of JSON on stdin; the answer is a line of JSON on stdout
and the pixels behind it. Imports nothing of this service, so that it starts fast.
"""

from __future__ import annotations

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
    for line in sys.stdin.buffer:
        _limit_time()
        head, pixels = _answer(json.loads(line))
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    # The protocol is named, so that neither a file's name nor a film leads elsewhere.
    options = {"max_pixels": str(request["max_pixels"]), "protocol_whitelist": "file"}
    path, demuxer = f"file:{request['path']}", request["demuxer"]
    try:
        with av.open(path, "r", demuxer, options, metadata_errors="ignore") as container:
            return _read(container, request)
    except (_NoVerdict, MemoryError, NotImplementedError) as error:
        return {"verdict": "unknown", "reason": str(error) or type(error).__name__}, b""
    # What is damaged in its head makes PyAV raise anything, down to AttributeError.
    except Exception as error:
        reason = f"it cannot be decoded ({type(error).__name__})"
        return {"verdict": "broken", "reason": reason}, b""


def _read(container: InputContainer, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        return {"verdict": "broken", "reason": "it has no picture"}, b""
    decoder = _decoder_of(stream, request["max_pixels"])
    frame = _find_frame(container, stream, decoder)
    ratio = stream.sample_aspect_ratio or decoder.sample_aspect_ratio or Fraction(1)
    matrix = _display_matrix(frame)
    small = _shrunk(frame, ratio, matrix, request["box"])
    head = {
        "verdict": "frame",
        "seconds": _seconds(container, stream),
        "stored": (frame.width, frame.height),
        "pixel_ratio": (ratio.numerator, ratio.denominator),
        "matrix": matrix,
        "size": (small.width, small.height),
        "stride": small.planes[0].line_size,
        "bytes": small.planes[0].buffer_size,
    }
    return head, bytes(small.planes[0])


def _decoder_of(stream: VideoStream, max_pixels: int) -> VideoCodecContext:
    decoder: VideoCodecContext | None = stream.codec_context
    if decoder is None:
        raise _NoVerdict("there is no decoder for it")
    if stream.width * stream.height > max_pixels:
        raise _NoVerdict(f"{stream.width} × {stream.height} is too large to decode")
    # Each thread would hold frames of its own, and one frame is all that is wanted.
    decoder.thread_count = 1
    decoder.thread_type = "NONE"
    decoder.options = {"max_pixels": str(max_pixels)}
    return decoder


def _find_frame(
    container: InputContainer, stream: VideoStream, decoder: VideoCodecContext
) -> VideoFrame:
    """The last keyframe before a part of the film, else any frame that can be decoded."""
    start = int((container.duration or 0) * POSTER_SHARE)
    # Not every kind of file can be sought in, and where none is a keyframe all are decoded.
    for offset, keys_only in ((start, True), (0, True), (0, False)):
        with suppress(av.FFmpegError):
            container.seek(offset)
        for frame in _frames(container, stream, decoder, keys_only):
            return frame
    raise av.InvalidDataError(0, "no frame")


def _frames(
    container: InputContainer, stream: VideoStream, decoder: VideoCodecContext, keys_only: bool
) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        if keys_only and not packet.is_keyframe:
            continue
        with suppress(av.InvalidDataError, av.EOFError):
            yield from decoder.decode(packet)
            if keys_only:
                # It need not wait for the frames that are shown before it.
                yield from decoder.decode(None)
        if keys_only:
            decoder.flush_buffers()


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """How players turn and mirror it, as `geometry.Matrix`."""
    sides: Any = frame.side_data
    if "DISPLAYMATRIX" not in sides:
        return _AS_STORED
    a, b, _, c, d = struct.unpack_from("=5i", bytes(sides["DISPLAYMATRIX"]))
    return a, b, c, d


def _shrunk(
    frame: VideoFrame, ratio: Fraction, matrix: tuple[int, int, int, int], box: list[int]
) -> VideoFrame:
    """As RGB with square pixels, of a poster's size, turned as it is stored."""
    a, b, c, d = matrix
    box = box[::-1] if abs(b) + abs(c) > abs(a) + abs(d) else box
    shown = float(frame.width * ratio)
    scale = min(box[0] / shown, box[1] / frame.height)
    width, height = max(1, round(shown * scale)), max(1, round(frame.height * scale))
    return frame.reformat(width, height, "rgb24", threads=1)


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """By the container, else by the last of its packets."""
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
