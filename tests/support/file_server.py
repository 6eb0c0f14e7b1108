"""A vendor's file server over a real socket: with ranges or without, whole, cut short or stuck."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.serving import QuietHandler, Served

_PIECE = 1024**2


@dataclass(frozen=True)
class Original:
    """A file of so many bytes: these, then zeros; never whole in memory."""

    head: bytes
    size: int

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes between two places, piece by piece."""
        while start < end:
            length = min(_PIECE, end - start)
            piece = self.head[start : start + length]
            yield piece + bytes(length - len(piece))
            start += length


def original(content: bytes) -> Original:
    """A small file."""
    return Original(content, len(content))


@dataclass(frozen=True)
class Turn:
    """
    How one request is answered.

    `etag` names the version, `ranges` says whether the server knows them,
    `cut` after how many bytes the connection breaks, `hold` what has to happen
    before it does; `headers` win over those that the server makes, a blank one is left out.
    """

    file: Original
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    ranges: bool = True
    cut: int | None = None
    hold: threading.Event | None = None


def says(status: int, body: bytes = b"", **headers: str) -> Turn:
    """An answer like any other."""
    return Turn(original(body), status, headers)


class FileServer(Served):
    """Each GET gets the next of `turns`, then the last; keeps what was asked."""

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.paths: list[str] = []
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                turn = server.turns[min(len(server.paths), len(server.turns) - 1)]
                server.asked.append({name.lower(): text for name, text in self.headers.items()})
                server.paths.append(self.path)
                _answer(self, turn)

        self.serve(Handler)
        self.url = self.origin

    def release(self) -> None:
        """Let go of what is held back."""
        for turn in self.turns:
            if turn.hold:
                turn.hold.set()


def _answer(handler: http.server.BaseHTTPRequestHandler, turn: Turn) -> None:
    start, size = _start(handler, turn), turn.file.size
    headers = {"Content-Length": str(size - start)}
    if turn.etag:
        headers["ETag"] = turn.etag
    if start:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    handler.send_response(206 if start else turn.status)
    for name, value in (headers | turn.headers).items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()
    _send(handler, turn, start)


def _start(handler: http.server.BaseHTTPRequestHandler, turn: Turn) -> int:
    """Where the answer begins; ranges hold only for the version that was asked for."""
    found = re.fullmatch(r"bytes=([0-9]+)-", handler.headers.get("Range", ""))
    same = handler.headers.get("If-Range", turn.etag) == turn.etag
    return int(found[1]) if found and same and turn.ranges and turn.status == 200 else 0


def _send(handler: http.server.BaseHTTPRequestHandler, turn: Turn, start: int) -> None:
    end = turn.file.size if turn.cut is None else min(start + turn.cut, turn.file.size)
    try:
        for piece in turn.file.pieces(start, end):
            handler.wfile.write(piece)
        if turn.hold:
            handler.wfile.flush()
            turn.hold.wait(60)
    except OSError:
        return  # the other side has hung up
