"""Heads of answers as servers and proxies write them, read without losing what matters."""

from __future__ import annotations

from http.client import HTTPException
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.outbound.response_head import FIELD_BYTES, HEAD_BYTES, MAX_FIELDS, read_final_head

OK = b"HTTP/1.1 200 OK\r\n"


def read(data: bytes) -> tuple[bytes, bytes]:
    """The head that is found, and what is left behind it."""
    file = BytesIO(data)
    return read_final_head(file), file.read()


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 200,
        b"HTTP/1.1 199\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_provisional_heads_are_skipped(before: bytes) -> None:
    """Only the final answer counts, however many come before it."""
    assert (OK + b"A: 1\r\n\r\n", b"body") == read(before + OK + b"A: 1\r\n\r\nbody")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"A: b \t\r\n", b"A: b\r\n"),
        (b"A:b\r\n", b"A: b\r\n"),
        (b"A:\r\n b\r\n\tc\r\n", b"A: b c\r\n"),
        (b"A : b\r\n", b"A: b\r\n"),
        (b"A: b\rc\r\n", b"A: b c\r\n"),
        (b"A: b\n", b"A: b\r\n"),
        (b"A: \r\n", b"A: \r\n"),
        (b"no field\r\nA: b\r\n", b"A: b\r\n"),
        (b"not a name: x\r\n: y\r\nA: b:c\r\n", b"A: b:c\r\n"),
        (b"Content-Length: 5, 5\r\n", b"Content-Length: 5\r\n"),
        (b"content-length: 5 \r\n", b"content-length: 5\r\n"),
        (b"Content-Length: 5, 6\r\n", b"Content-Length: 5, 6\r\n"),
        (b"X: " + b"y" * FIELD_BYTES + b"\r\nA: b\r\n", b"A: b\r\n"),
        (b"X: y\r\n" + b" z\r\n" * FIELD_BYTES + b"A: b\r\n", b"A: b\r\n"),
    ],
)
def test_fields_are_tidied(written: bytes, expected: bytes) -> None:
    """Folded, padded and broken lines hide neither themselves nor what follows."""
    assert (OK + expected + b"B: 1\r\n\r\n", b"") == read(OK + written + b"B: 1\r\n\r\n")


def test_repeated_fields_go_first_when_there_are_too_many() -> None:
    """A long list of cookies does not push out the length of the body."""
    cookies = b"".join(b"Set-Cookie: c%d=1\r\n" % number for number in range(300))
    head, _ = read(OK + cookies + b"Content-Length: 5\r\n\r\n")
    fields = head.split(b"\r\n")[1:-2]

    assert MAX_FIELDS == len(fields)
    assert b"Content-Length: 5" in fields


@pytest.mark.parametrize(
    "endless", [b"HTTP/1.1 103 E\r\n\r\n", b"X: y\r\n", b"x", b"HTTP/1.1 103 E\r\nX: y\r\n"]
)
def test_heads_have_a_longest_length(endless: bytes) -> None:
    """A server that never comes to its answer is not listened to for ever."""
    with pytest.raises(HTTPException, match=str(HEAD_BYTES)):
        read(endless * (HEAD_BYTES + 1))


@given(st.binary())
@example(b"HTTP/1.1 100")
@example(b"\r\n\r\n")
@example(b"HTTP/1.1 103 E\r\n\r\n")
def test_anything_ends(data: bytes) -> None:
    """Whatever a server sends, there is a head, and nothing is read twice."""
    head, rest = read(data)

    assert len(rest) <= len(data)
    assert data.endswith(rest)
    assert head.count(b"\n") <= data.count(b"\n") + data.count(b"\r")
