"""Where a request ends, however its bytes are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.intake.framing import HEAD_BYTES, Chunks, Head, Incoming

CHUNKED = b"Transfer-Encoding: Chunked\r\n\r\n"
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"


Receive = Callable[..., Incoming]


@pytest.fixture
def received(tmp_path: Path) -> Iterator[Receive]:
    """Makes requests whose bytes came in steps; they end with the test."""
    with ExitStack() as stack:

        def receive(raw: bytes, step: int, limit: int = 1000) -> Incoming:
            made = Incoming(tmp_path)
            stack.callback(made.close)
            take(made, raw, step, limit)
            return made

        yield receive


def take(made: Incoming, raw: bytes, step: int, limit: int) -> None:
    """Give a request its bytes in steps."""
    for at in range(0, len(raw), step):
        piece = raw[at : at + step]
        behind = None if made.has_head else made.feed_head(piece)
        if behind is not None:
            made.expect_body(limit)
            made.feed_body(behind)
        elif made.has_head and not made.ready:
            made.feed_body(piece)


BODIES = {
    "no body": HEAD + b"\r\n",
    "length": HEAD + b"Content-Length: 3\r\n\r\nabc",
    "no bytes": HEAD + b"content-length: 0\r\n\r\n",
    "chunks": HEAD + CHUNKED + b"3\r\nabc\r\nA ;x=y\r\n0123456789\r\n0\r\n\r\n",
    "trailers": HEAD + CHUNKED + b"1\r\na\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("raw", BODIES.values(), ids=list(BODIES))
def test_whole_request(received: Receive, raw: bytes, step: int) -> None:
    """It is ready with its last byte and not before, and gunicorn then reads what came."""
    before = received(raw[:-1], step)
    made = received(raw, step)
    made.open()

    assert (False, True, True) == (before.ready, made.ready, made.is_whole)
    assert raw == made.recv(10_000)
    assert b"" == made.recv(10_000)


REFUSED = {
    "too long": b"Content-Length: 1001\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "no number": b"Content-Length: +3\r\n\r\nabc",
    "length and chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
    "another coding": b"Transfer-Encoding: gzip\r\n\r\nabc",
    "chunks too long": b"Transfer-Encoding: chunked\r\n\r\n3E9\r\n" + b"a" * 1001,
}


@pytest.mark.parametrize("rest", REFUSED.values(), ids=list(REFUSED))
def test_refused_as_it_is(received: Receive, rest: bytes) -> None:
    """What is refused anyhow is not waited for, and never read as if it were whole."""
    made = received(HEAD + rest, 10_000)
    made.open()
    made.recv(10_000)

    assert (True, False) == (made.ready, made.is_whole)
    with pytest.raises(ConnectionError):
        made.recv(1)


@pytest.mark.parametrize(
    "chunks", [b"x\r\n", b"\r\n", b"-1\r\n", b"0x1\r\n", b"3\r\nabcd\r\n", b"1" * 9000, b"f" * 16]
)
def test_malformed_chunk(chunks: bytes) -> None:
    """A malformed chunk ends the body as such; the longest line is bounded."""
    made = Chunks()
    made.feed(chunks + b"\r\n")

    assert (True, True) == (made.done, made.malformed)


def test_many_small_chunks(received: Receive) -> None:
    """Chunks of one byte cannot fill the disk below the limit of the body."""
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    made = received(head + b"1\r\na\r\n" * 100_000, 6, limit=100_000)

    assert made.ready
    assert made.received < HEAD_BYTES + 2 * 100_000 + 100


def test_expect_is_answered_once(received: Receive) -> None:
    """Who waits for 100 is asked by us; gunicorn does not see that."""
    raw = HEAD + b"expect: 100-Continue\r\nX-A: b\r\nContent-Length: 1\r\n\r\na"
    made = received(raw, 5)
    made.open()

    assert made.head.waits_for_100
    assert HEAD + b"X-A: b\r\nContent-Length: 1\r\n\r\na" == made.recv(10_000)


def test_bytes_behind_a_request(received: Receive) -> None:
    """A second request behind the first is given back."""
    made = received(BODIES["length"] + b"GET / HTTP/1.1\r\n", 10_000)
    made.open()
    read = made.recv(len(BODIES["length"]))

    assert BODIES["length"] == read
    assert b"GET / HTTP/1.1\r\n" == made.close()


def test_endless_head(received: Receive) -> None:
    """A head without an end is too long at some point."""
    assert received(HEAD + b"a" * HEAD_BYTES, 10_000).is_too_long


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, raw: bytes, step: int) -> None:
    """No bytes raise, as head or as chunks."""
    Head.parse(raw)
    made = Incoming(tmp_path_factory.getbasetemp())
    take(made, HEAD + b"\r\n" + raw, step, 0)
    made.close()
    chunks = Chunks()
    for at in range(0, len(raw), step):
        chunks.feed(raw[at : at + step])

    assert made.is_whole
    assert chunks.size <= len(raw)
