"""
From a URL to a socket: checked addresses and time limits, and urllib3 with both.

Names are resolved here, only checked addresses are connected, and every operation on a
socket has only the remaining time of its call.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, NamedTuple

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from service.errors import ForbiddenAddress, NotSent
from service.outbound.addresses import is_allowed, parse_address, parse_networks
from service.outbound.response_head import read_final_head

# Takes (host, port, type=…) and answers like `socket.getaddrinfo`.
Resolver = Callable[..., Sequence[tuple[Any, ...]]]

_DIALS = 4  # addresses of one name that are tried
_PORTS = {"http": 80, "https": 443}
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Origin(NamedTuple):
    """The host and port of a URL, for connections."""

    scheme: str
    host: str
    port: int


def origin(url: str) -> Origin:
    """Parse a URL. Raises ValueError, with the right form, for an invalid one."""
    if any(char <= " " or char == "\x7f" for char in url):
        raise ValueError("the URL holds a space or a control character; percent-encode it")
    try:
        parts = parse_url(url)
    except ValueError:
        # The library's message would contain the full URL.
        raise ValueError("the URL is malformed; give https://HOST/PATH") from None
    if parts.scheme not in _PORTS:
        raise ValueError("the URL must begin with https:// or http://")
    if parts.auth is not None:
        raise ValueError("the URL must not carry a user name or password; leave them out")
    if not parts.host or len(parts.host) > 253 or parts.port == 0:
        raise ValueError("the URL has no usable host and port; give https://HOST/PATH")
    # An IPv6 literal has brackets, which no resolver accepts.
    host = parts.host.removeprefix("[").removesuffix("]")
    return Origin(parts.scheme, host, parts.port or _PORTS[parts.scheme])


class RequestContext:
    """A call in progress: its remaining time, and whether a byte may have been sent."""

    def __init__(self, guard: AddressPolicy, seconds: float) -> None:
        self.guard = guard
        self.seconds = seconds
        self.began = time.monotonic()
        self.host = ""
        self.sent = False

    def left(self) -> float:
        """The seconds until the deadline, above zero. Raises TimeoutError after it."""
        left = self.began + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError("time over")
        return left


# Sockets find their current call here: a pooled one serves many calls in turn.
CURRENT_REQUEST: ContextVar[RequestContext] = ContextVar("exchange")


class AddressPolicy:
    """Resolves names, refuses them if any address is forbidden, and connects to checked ones."""

    def __init__(self, allowed: Sequence[str], resolver: Resolver, seconds: float) -> None:
        self._networks = parse_networks(allowed)
        self._resolver = resolver
        self._seconds = seconds

    def resolve(self, host: str, port: int, seconds: float) -> list[tuple[int, tuple[Any, ...]]]:
        """Resolve a host: (family, socket address) of every answer, all of them allowed."""
        box: queue.SimpleQueue[Sequence[tuple[Any, ...]]] = queue.SimpleQueue()
        # A thread of its own, since getaddrinfo takes no timeout, and a shared pool could be
        # filled by the names of one slow server. Connections are reused, so this is rare.
        threading.Thread(target=self._look_up, args=(host, port, box), daemon=True).start()
        try:
            found = box.get(timeout=min(seconds, self._seconds))
        except queue.Empty:
            found = []
        answers = [(entry[0], entry[4]) for entry in found if entry[0] in _FAMILIES]
        if not answers:
            raise NotSent(f"the name {host} does not resolve; check its spelling and its DNS")
        for _, address in answers:
            self._require_allowed(host, address)
        return answers

    def _look_up(self, host: str, port: int, box: queue.SimpleQueue[Any]) -> None:
        try:
            box.put(self._resolver(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError):  # the second for names that cannot be encoded
            box.put([])

    def _require_allowed(self, host: str, address: tuple[Any, ...]) -> None:
        if not is_allowed(parse_address(address[0]), self._networks):
            # Without the address: a user who gives a URL should not learn about the inner network.
            raise ForbiddenAddress(
                f"{host} leads to an address that is not public; use a public one, or have "
                "the operator add its network to CLIPBELL_ALLOWED_NETWORKS"
            )

    def dial(self, host: str, port: int, exchange: RequestContext) -> socket.socket:
        """Connect a socket; each address gets its share of the remaining time."""
        answers = self.resolve(host, port, exchange.left())[:_DIALS]
        problem = ""
        for waiting, (family, address) in zip(range(len(answers), 0, -1), answers, strict=True):
            try:
                return self._connect(host, family, address, exchange.left() / waiting)
            except OSError as error:
                problem = error.strerror or "timed out"
        raise NotSent(f"{host}: no connection to port {port}: {problem}")

    def _connect(
        self, host: str, family: int, address: tuple[Any, ...], seconds: float
    ) -> socket.socket:
        sock = _PlainSocket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds)
            sock.connect(address)
            self._require_allowed(host, sock.getpeername())
        except BaseException:
            sock.close()
            raise
        return sock


class _PlainSocket(socket.socket):
    """Limits every operation to the remaining time of its call."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = CURRENT_REQUEST.get()
        self.settimeout(exchange.left())
        exchange.sent = True
        super().sendall(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(CURRENT_REQUEST.get().left())
        return super().recv_into(buffer, nbytes, flags)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS; the handshake is not part of the request yet."""

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(CURRENT_REQUEST.get().left())
        super().do_handshake(block)

    def send(self, data: Any, flags: int = 0) -> int:  # `sendall` calls it
        exchange = CURRENT_REQUEST.get()
        self.settimeout(exchange.left())
        exchange.sent = True
        try:
            return super().send(data, flags)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # Over TCP alone it would be this, after which urllib3 looks for an answer: one
            # that refuses a large request comes before all of it was read.
            raise BrokenPipeError("the other side reads no more") from None

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(CURRENT_REQUEST.get().left())
        return super().recv_into(buffer, nbytes, flags)


class _FinalResponse(HTTPResponse):
    """An answer that begins at its final head; see `response_head`."""

    def begin(self) -> None:
        """Read the head, unless that was done."""
        if self.headers is not None:
            return
        stream = self.fp
        self.fp = BytesIO(read_final_head(stream))
        try:
            super().begin()
        finally:
            self.fp = stream


class _PlainConnection(HTTPConnection):
    response_class = _FinalResponse

    def _new_conn(self) -> socket.socket:
        exchange = CURRENT_REQUEST.get()
        return exchange.guard.dial(self._dns_host, self.port, exchange)


class _TlsConnection(_PlainConnection, HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except ssl.SSLError as error:
            problem = getattr(error, "verify_message", "") or error.reason or "broken off"
            raise NotSent(f"{self.host}: no TLS connection: {problem}") from None


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


#: What a `PoolManager` takes as its `pool_classes_by_scheme`.
POOLS = {"http": _PlainPool, "https": _TlsPool}


@cache
def tls_context(ca_file: str) -> ssl.SSLContext:
    """A context for `POOLS`, with the authorities of a PEM file, whose sockets have time limits."""
    # Reading the usual file takes 20 ms, and every verb of the command line builds a client.
    context = create_urllib3_context()
    context.sslsocket_class = _TlsSocket
    context.load_verify_locations(ca_file)
    return context
