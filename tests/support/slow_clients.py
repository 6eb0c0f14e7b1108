"""Clients without credentials that keep a server waiting, and honest callers beside them."""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice

#: What each kind says at first, and then one byte of once a second; blank: nothing.
KINDS: dict[str, tuple[bytes, bytes]] = {
    "half a header": (b"POST /callbacks/token HTTP/1.1\r\nHost: x\r\nX-A: ", b""),
    "half a body": (
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nx-api-key: no\r\nContent-Length: 99\r\n\r\n{",
        b"",
    ),
    "header, a byte a second": (b"POST /callbacks/token HTTP/1.1\r\nHost: x\r\nX-A: ", b"a"),
    "body, a byte a second": (
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nkey=",
        b"a",
    ),
    "chunks, a byte a second": (
        b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        b"a",
    ),
    "silent": (b"", b""),
}


@dataclass
class Figures:
    """How honest callers fared, and how long each slow client was let be; in seconds."""

    honest: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    lives: dict[str, list[float]] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """Of the honest callers' times."""
        ordered = sorted(self.honest)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def longest(self) -> float:
        """The longest that a slow client was let be."""
        return max(life for lives in self.lives.values() for life in lives)

    def __str__(self) -> str:
        slow = sum(len(lives) for lives in self.lives.values())
        return (
            f"{len(self.honest)} honest callbacks, {len(self.refused)} failed, "
            f"p50 {self.percentile(0.5) * 1000:.0f} ms, p99 {self.percentile(0.99) * 1000:.0f} ms, "
            f"/healthz at most {max(self.health, default=0) * 1000:.0f} ms; "
            f"{slow} slow connections, the longest {self.longest:.1f} s"
        )


class _Slow:
    """One connection of a slow client, from its first byte on."""

    def __init__(self, port: int, kind: str) -> None:
        self.kind = kind
        self.began = self.spoke = time.monotonic()
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.sock.sendall(KINDS[kind][0])
        self.sock.setblocking(False)

    def drip(self, now: float) -> None:
        """A byte, where a second has passed since the last one."""
        if KINDS[self.kind][1] and now - self.spoke >= 1:
            self.spoke = now
            with suppress(OSError):
                self.sock.send(KINDS[self.kind][1])

    def is_cut(self) -> bool:
        """Whether the server has ended it, by an answer or without one."""
        try:
            return not self.sock.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True


def besiege(
    port: int, path: Callable[[], str], count: int, seconds: float, callers: int = 4
) -> Figures:
    """
    Hold `count` slow connections open for so long; whoever is cut comes back at once.

    Args:
        path: the path of a fresh callback URL.
        callers: how many honest ones call back one after another, each on a new connection.
    """
    figures, stop = Figures(lives={kind: [] for kind in KINDS}), threading.Event()
    threads = [
        threading.Thread(target=_call_back, args=(port, path, number, figures, stop))
        for number in range(callers)
    ]
    threads.append(threading.Thread(target=_probe, args=(port, figures, stop)))
    with selectors.DefaultSelector() as selector:
        slow = [_open(selector, port, kind) for kind in islice(cycle(KINDS), count)]
        for thread in threads:
            thread.start()
        try:
            _hold(selector, slow, port, figures, time.monotonic() + seconds)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            now = time.monotonic()
            for one in slow:
                # Those that are still open count too: nobody says how long they would be.
                figures.lives[one.kind].append(now - one.began)
                one.sock.close()
    return figures


def _open(selector: selectors.BaseSelector, port: int, kind: str) -> _Slow:
    made = _Slow(port, kind)
    selector.register(made.sock, selectors.EVENT_READ, made)
    return made


def _hold(
    selector: selectors.BaseSelector, slow: list[_Slow], port: int, figures: Figures, until: float
) -> None:
    while (now := time.monotonic()) < until:
        for key, _ in selector.select(0.1):
            one: _Slow = key.data
            if one.is_cut():
                selector.unregister(one.sock)
                one.sock.close()
                figures.lives[one.kind].append(time.monotonic() - one.began)
                slow[slow.index(one)] = _open(selector, port, one.kind)
        for one in slow:
            one.drip(now)


def _call_back(
    port: int, path: Callable[[], str], number: int, figures: Figures, stop: threading.Event
) -> None:
    turn = 0
    while not stop.wait(0.05):
        turn += 1
        body = b'{"from": %d, "turn": %d}' % (number, turn)
        _timed(port, "POST", path(), body, figures.honest, figures)


def _probe(port: int, figures: Figures, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        _timed(port, "GET", "/healthz", None, figures.health, figures)


def _timed(
    port: int, method: str, path: str, body: bytes | None, times: list[float], figures: Figures
) -> None:
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        status = connection.getresponse().status
        if status != 200:
            figures.refused.append(f"{method} {status}")
    except OSError as error:
        figures.refused.append(f"{method} {error!r}")
    finally:
        connection.close()
    times.append(time.monotonic() - began)
