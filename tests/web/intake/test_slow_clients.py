"""Slow clients hold no thread: honest callers are answered, and who is slow is cut."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.servers import Clipbell, eventually
from support.slow_clients import KINDS, Figures, besiege

from service.model import utc_now
from service.settings import load_settings
from service.signing import UrlSigner

SHORT_SECONDS = 1.5


@pytest.fixture
def clipbell(tmp_path: Path) -> Iterator[Clipbell]:
    """A service that was set up, with nothing running."""
    with Clipbell(tmp_path / "site", "http://127.0.0.1:9") as made:
        yield made


@pytest.fixture
def short(clipbell: Clipbell) -> Clipbell:
    """One web process that has little patience."""
    clipbell.spawn("serve", "support.short_deadlines", str(clipbell.port), str(SHORT_SECONDS))
    eventually(clipbell.answers)
    return clipbell


def callback_path(clipbell: Clipbell) -> Callable[[], str]:
    """The path of a job's callback URL."""
    job_id = clipbell.submit("A fox")["id"]
    keys = load_settings(clipbell.environ).keys()
    signer = UrlSigner(keys, "callback", "/callbacks")
    tomorrow = utc_now() + timedelta(days=1)
    return lambda: signer.url_for(tomorrow, job=job_id, provider="apixo")


def siege(clipbell: Clipbell, count: int, seconds: float) -> Figures:
    """Slow clients against a service; prints what came of it."""
    figures = besiege(clipbell.port, callback_path(clipbell), count, seconds)
    print(figures)
    return figures


def test_slow_clients(short: Clipbell) -> None:
    """60 slow connections: every honest callback is answered in time, every slow one is cut."""
    figures = siege(short, 60, 3 * SHORT_SECONDS)

    assert [] == figures.refused
    assert figures.percentile(0.99) <= 1.0
    assert figures.longest <= 4 * SHORT_SECONDS
    assert all(len(lives) > 10 for lives in figures.lives.values()), figures.lives.keys()


@pytest.mark.long
@pytest.mark.timeout(180)
def test_three_hundred_slow_clients(clipbell: Clipbell) -> None:
    """300 slow connections for 60 s against `serve`: p99 of 1 s, and each is cut within 15 s."""
    clipbell.spawn("serve", "service", "serve", "--port", str(clipbell.port))
    eventually(clipbell.answers)
    figures = siege(clipbell, 300, 60)

    assert [] == figures.refused
    assert len(figures.honest) > 300
    assert figures.percentile(0.99) <= 1.0
    assert figures.longest <= 15


def test_crowd_from_one_address(clipbell: Clipbell) -> None:
    """Past the bound of an address the slowest connection gives way, and no honest caller does."""
    clipbell.start_web()
    eventually(clipbell.answers)
    path = callback_path(clipbell)()
    crowd = [socket.create_connection(("127.0.0.1", clipbell.port)) for _ in range(300)]
    statuses = {clipbell.call("POST", path, b"%d" % turn).status for turn in range(20)}
    first, last = crowd[0].recv(100), crowd[-1]
    last.setblocking(False)

    assert {200} == statuses
    assert first.startswith(b"HTTP/1.1 408 ")
    with pytest.raises(BlockingIOError):
        last.recv(1)
    for one in crowd:
        one.close()


@pytest.mark.parametrize("kind", list(KINDS))
def test_cut_clients_hear_why(short: Clipbell, kind: str) -> None:
    """Who has begun a request is answered 408; who was silent is only cut."""
    with socket.create_connection(("127.0.0.1", short.port), 10) as slow:
        slow.sendall(KINDS[kind][0])
        heard = slow.recv(100)

    assert (b"" if kind == "silent" else b"HTTP/1.1 408 Request Timeout") == heard[:28]


def test_pipelined_requests(short: Clipbell) -> None:
    """Requests that come at once on one connection are answered in their order."""
    with socket.create_connection(("127.0.0.1", short.port), 10) as caller:
        paths = (b"/healthz", b"/nothing", b"/healthz")
        caller.sendall(b"".join(b"HEAD " + p + b" HTTP/1.1\r\nHost: x\r\n\r\n" for p in paths))
        heard = b""
        while heard.count(b"\r\n\r\n") < 3:
            heard += caller.recv(10_000)

    assert [b"200", b"404", b"200"] == re.findall(rb"HTTP/1.1 (\d+)", heard)


def test_whole_request_in_small_pieces(short: Clipbell) -> None:
    """A callback that comes byte by byte, but in time, is taken."""
    path = callback_path(short)()
    with socket.create_connection(("127.0.0.1", short.port), 10) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for byte in head + b"2\r\n{}\r\n0\r\n\r\n":
            caller.sendall(bytes([byte]))
        heard = caller.recv(100)

    assert b"HTTP/1.1 200 OK" == heard[:15]


def test_unread_bytes_cost_no_answer(short: Clipbell) -> None:
    """Who sends more than is read still gets the answer, and the loop does not wait for them."""
    with socket.create_connection(("127.0.0.1", short.port), 10) as caller:
        caller.sendall(b"POST /callbacks/no HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n")
        heard = b""
        while piece := caller.recv(10_000):
            heard += piece

    assert b"HTTP/1.1 401 " == heard[:13]
    assert b"Connection: close" in heard
