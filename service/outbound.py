"""The one door for outgoing HTTP: guarded addresses, one total deadline, a byte cap."""

from __future__ import annotations

import hashlib
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, BinaryIO
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url
from urllib3.util.ssl_ import create_urllib3_context

from service import __version__
from service.addresses import is_allowed, parse_address, parse_networks
from service.errors import BodyTooLarge, ForbiddenAddress, NoAnswer, NotSent, OutboundError

# Takes (host, port, type=…) and answers like `socket.getaddrinfo`.
Resolver = Callable[..., Sequence[tuple[Any, ...]]]

_POOL = 64  # hosts, and idle connections per host, that are kept
_DIALS = 4  # addresses of one name that are tried
_PIECE = 65536  # bytes read at a time
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_PORTS = {"http": 80, "https": 443}
# What may follow a redirect to another origin; a list of secrets could never be complete.
_HARMLESS = {"accept", "accept-encoding", "connection", "range", "user-agent"}
_TROUBLE = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)


@dataclass(frozen=True)
class Answer:
    """
    What the other side said, whole or cut.

    `headers` ignores case; `body` is empty when it was streamed into a file, and
    `sha256` (hex) is there only then; `truncated` says that there was more than
    `max_bytes`; `size` counts the body bytes read; `seconds` is from start to end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    size: int
    sha256: str | None
    seconds: float


class Outbound:
    """
    Calls to other machines; one per process, shared by its threads.

    `allowed_networks` are CIDRs that may be reached besides public addresses,
    `resolver` takes and gives what `socket.getaddrinfo` does, `resolve_seconds`
    bounds it, `ca_file` (PEM) replaces the usual certificate authorities.
    """

    def __init__(
        self,
        allowed_networks: Sequence[str] = (),
        *,
        resolver: Resolver = socket.getaddrinfo,
        resolve_seconds: float = 5.0,
        ca_file: str | None = None,
    ) -> None:
        # Below this level urllib3 logs whole URLs, and a URL may be the secret.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._guard = _Guard(allowed_networks, resolver, resolve_seconds)
        self._tls = create_urllib3_context()
        self._tls.sslsocket_class = _TlsSocket
        self._tls.load_verify_locations(ca_file or DEFAULT_CA_BUNDLE_PATH)
        self._adapter = _Adapter(self._tls)
        self._session = requests.Session()
        self._session.trust_env = False
        agent = {"User-Agent": f"Clipbell/{__version__}", "Accept-Encoding": "identity"}
        self._session.headers.update(agent)

    def check(self, url: str) -> None:
        """
        Look at a URL that a user gave, before anything is sent there.

        Raises ValueError for its form, NotSent for a name that does not resolve
        now, ForbiddenAddress if any of its addresses may not be reached; each says
        how to mend it.
        """
        parts = _parse(url)
        self._guard.resolve(str(parts.host), _port(parts), float("inf"))

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
        max_bytes: int = 65536,
        into: BinaryIO | None = None,
        redirects: int = 0,
        unrepeatable: bool = False,
    ) -> Answer:
        """
        Send one request, once, and read its answer within `seconds` altogether.

        Without `into` a body longer than `max_bytes` is cut; with it the body goes to
        that file and a longer one raises BodyTooLarge. Up to `redirects` are followed
        (GET only; errors then speak of the last hop), else a 3xx is the answer.
        `unrepeatable` takes a fresh connection, so that NoAnswer never just means that
        an idle one had died. Raises NotSent or NoAnswer for all that goes wrong.
        """
        if redirects and method != "GET":
            raise ValueError("only a GET may follow redirects")
        exchange = _Exchange(self._guard, seconds)
        adapter = _Adapter(self._tls) if unrepeatable else self._adapter
        token = _EXCHANGE.set(exchange)
        try:
            draft = requests.Request(method, url, headers=headers, data=body)
            request = self._prepare(exchange, draft)
            with closing(_open(exchange, adapter, request, redirects)) as response:
                return _read(exchange, response, max_bytes, into)
        finally:
            _EXCHANGE.reset(token)
            if unrepeatable:
                adapter.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()
        self._session.close()

    def _prepare(self, exchange: _Exchange, draft: requests.Request) -> requests.PreparedRequest:
        try:
            exchange.host = str(_parse(str(draft.url)).host)
        except ValueError as error:
            raise NotSent(str(error)) from None
        with exchange.failing():
            return self._session.prepare_request(draft)


def _parse(url: str) -> Url:
    if any(char <= " " or char == "\x7f" for char in url):
        raise ValueError("the URL holds a space or a control character; percent-encode it")
    try:
        parts = parse_url(url)
    except ValueError:
        # Its own message would repeat the whole URL.
        raise ValueError("the URL is malformed; give https://HOST/PATH") from None
    if parts.scheme not in _PORTS:
        raise ValueError("the URL must begin with https:// or http://")
    if parts.auth is not None:
        raise ValueError("the URL must not carry a user name or password; leave them out")
    if not parts.host or len(parts.host) > 253 or parts.port == 0:
        raise ValueError("the URL has no usable host and port; give https://HOST/PATH")
    return parts


def _port(parts: Url) -> int:
    return parts.port or _PORTS[str(parts.scheme)]


def _origin(url: str) -> tuple[str | None, str | None, int]:
    parts = _parse(url)
    return parts.scheme, parts.host, _port(parts)


class _Exchange:
    """One call in progress: the time it has left, and whether a byte may have gone out."""

    def __init__(self, guard: _Guard, seconds: float) -> None:
        self.guard = guard
        self.seconds = seconds
        self.began = time.monotonic()
        self.host = ""
        self.sent = False

    def left(self) -> float:
        """Seconds until the deadline, above zero; TimeoutError once it has passed."""
        left = self.began + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError("time over")
        return left

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turn whatever the libraries raise into NotSent or NoAnswer."""
        try:
            yield
        except _TROUBLE as error:
            # Not chained: the libraries' messages hold the whole URL.
            raise self._failure(type(error).__name__) from None

    def _failure(self, kind: str) -> OutboundError:
        word = NoAnswer if self.sent else NotSent
        if time.monotonic() - self.began >= self.seconds:
            what = "no complete answer" if self.sent else "not sent"
            return word(f"{self.host}: {what} within {self.seconds:g} s")
        if not self.sent:
            return word(f"{self.host}: the request could not be sent ({kind})")
        return word(f"{self.host}: the connection broke before the answer was complete ({kind})")


# The sockets find the call that uses them here: a pooled one serves many calls in turn.
_EXCHANGE: ContextVar[_Exchange] = ContextVar("exchange")


def _open(
    exchange: _Exchange, adapter: HTTPAdapter, request: requests.PreparedRequest, redirects: int
) -> requests.Response:
    for _ in range(redirects + 1):
        response = _send(exchange, adapter, request)
        target = response.headers.get("location") if response.is_redirect and redirects else None
        if target is None:
            return response
        response.close()
        request = _next_hop(exchange, request, target)
    raise NoAnswer(f"{exchange.host}: gave up after {redirects} redirects")


def _send(
    exchange: _Exchange, adapter: HTTPAdapter, request: requests.PreparedRequest
) -> requests.Response:
    exchange.sent = False
    # Not `Session.send`: that reads a redirect's whole body, however long, and keeps cookies.
    with exchange.failing():
        response = adapter.send(request, stream=True, timeout=exchange.left(), proxies={})
    if response.status_code < 200:
        response.close()
        raise NoAnswer(f"{exchange.host}: broke off after a provisional answer")
    return response


def _next_hop(
    exchange: _Exchange, request: requests.PreparedRequest, target: str
) -> requests.PreparedRequest:
    source, following = str(request.url), request.copy()
    try:
        # Header bytes come as latin-1; those that aren't ASCII are meant as UTF-8.
        target = target.encode("latin-1").decode(errors="replace")
        following.prepare_url(urljoin(source, target), None)
        before, after = _origin(source), _origin(str(following.url))
    except ValueError:
        raise NoAnswer(f"{exchange.host}: redirects to an unusable URL") from None
    if before[0] == "https" and after[0] == "http":
        raise NoAnswer(f"{exchange.host}: redirects from https to http, which is not followed")
    if before != after:
        for name in set(map(str.lower, following.headers)) - _HARMLESS:
            del following.headers[name]
    exchange.host = str(after[1])
    return following


def _read(
    exchange: _Exchange, response: requests.Response, max_bytes: int, into: BinaryIO | None
) -> Answer:
    sink: list[bytes] = []
    write = sink.append if into is None else into.write
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(exchange, response, max_bytes + 1):
        size += len(piece)
        if size > max_bytes and into is not None:
            raise BodyTooLarge(f"{exchange.host}: the body is longer than {max_bytes} bytes")
        digest.update(piece)
        write(piece)
    return Answer(
        status=response.status_code,
        headers=response.headers,
        body=b"".join(sink)[:max_bytes],
        truncated=size > max_bytes,
        size=min(size, max_bytes),
        sha256=None if into is None else digest.hexdigest(),
        seconds=time.monotonic() - exchange.began,
    )


def _pieces(exchange: _Exchange, response: requests.Response, limit: int) -> Iterator[bytes]:
    while limit > 0:
        # `read`, not `stream`: only the first limits the line that opens a chunk.
        with exchange.failing():
            piece = response.raw.read(min(_PIECE, limit), decode_content=False)
        if not piece:
            return
        limit -= len(piece)
        yield piece


class _Guard:
    """Resolves names, refuses them if any address is forbidden, and dials what it checked."""

    def __init__(self, allowed: Sequence[str], resolver: Resolver, seconds: float) -> None:
        self._networks = parse_networks(allowed)
        self._resolver = resolver
        self._seconds = seconds

    def resolve(self, host: str, port: int, seconds: float) -> list[tuple[int, tuple[Any, ...]]]:
        """(family, socket address) of every answer, all of them allowed."""
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
            # The address is left out: who may give a URL need not learn the inner network.
            raise ForbiddenAddress(
                f"{host} leads to an address that is not public; use a public one, or have "
                "the operator add its network to CLIPBELL_ALLOWED_NETWORKS"
            )

    def dial(self, host: str, port: int, exchange: _Exchange) -> socket.socket:
        """A connected socket; each address gets its share of the time that is left."""
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
    """Gives every operation the time that its call has left."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        exchange = _EXCHANGE.get()
        self.settimeout(exchange.left())
        exchange.sent = True
        super().sendall(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(_EXCHANGE.get().left())
        return super().recv_into(buffer, nbytes, flags)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS; its handshake is not yet part of the request."""

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(_EXCHANGE.get().left())
        super().do_handshake(block)

    def send(self, data: Any, flags: int = 0) -> int:  # `sendall` calls it
        exchange = _EXCHANGE.get()
        self.settimeout(exchange.left())
        exchange.sent = True
        return super().send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_EXCHANGE.get().left())
        return super().recv_into(buffer, nbytes, flags)


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        exchange = _EXCHANGE.get()
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


class _Adapter(HTTPAdapter):
    """No retries, no proxies, and connections that dial through the guard."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(pool_connections=_POOL, pool_maxsize=_POOL, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = PoolManager(
            connections, maxsize=maxsize, block=block, ssl_context=self._tls, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to do: the context holds the authorities, loaded once and not per call."""
