"""
The only HTTP client: checked addresses, one total time limit, a limit of bytes.

Calls, redirects, answers and errors are here; connections are in `transport`.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from service import __version__
from service.errors import BodyTooLarge, NoAnswer, NotSent
from service.model.codings import Source, open_decoded
from service.outbound.transport import (
    CURRENT_REQUEST,
    POOLS,
    AddressPolicy,
    RequestContext,
    Resolver,
    origin,
    tls_context,
)

_POOL = 64  # hosts, and idle connections per host, that are kept
_PIECE = 65536  # bytes read at a time
# The headers that may follow a redirect to another origin: all others may be secrets.
_HARMLESS = {"accept", "accept-encoding", "connection", "if-range", "range", "user-agent"}
_TROUBLE = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)


Wanted = Callable[[int, Mapping[str, str]], bool]


class Sink(Protocol):
    """The destination of a body, such as a file."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class Response:
    """
    An answer, complete or truncated.

    `headers` ignores case; `body` is decoded, and empty if it
    was streamed into a file; `truncated`: it was longer than `max_bytes`;
    `size` is the bytes of the body; `seconds` is the duration of the call.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    size: int
    seconds: float


class Outbound:
    """
    Calls to other machines; one per process, shared by its threads.

    `allowed_networks` are CIDRs that may be reached besides public addresses,
    `resolver` has the interface of `socket.getaddrinfo`, `resolve_seconds`
    limits it, `ca_file` (PEM) replaces the usual certificate authorities.
    """

    def __init__(
        self,
        allowed_networks: Sequence[str] = (),
        *,
        resolver: Resolver = socket.getaddrinfo,
        resolve_seconds: float = 5.0,
        ca_file: str | None = None,
    ) -> None:
        # Below this level urllib3 logs full URLs, and a URL may be secret.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._guard = AddressPolicy(allowed_networks, resolver, resolve_seconds)
        self._ca_file = ca_file or DEFAULT_CA_BUNDLE_PATH
        self._session = requests.Session()
        self._session.trust_env = False
        agent = {"User-Agent": f"Clipbell/{__version__}", "Accept-Encoding": "identity"}
        self._session.headers.update(agent)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading all authorities takes 50 ms, a tenth of the time of a verb without calls.
        return tls_context(self._ca_file)

    @cached_property
    def _adapter(self) -> _Adapter:
        return _Adapter(self._tls, _POOL)

    @property
    def headers(self) -> dict[str, str]:
        """The default headers of every request."""
        return {name: str(value) for name, value in self._session.headers.items()}

    def check(self, url: str) -> None:
        """
        Check a user's URL before anything is sent there.

        Raises ValueError for an invalid URL, NotSent for a name that does not resolve
        now, ForbiddenAddress if any of its addresses is not allowed; each message has
        the fix.
        """
        place = origin(url)
        self._guard.resolve(place.host, place.port, float("inf"))

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
        max_bytes: int = 65536,
        into: Sink | None = None,
        wanted: Wanted | None = None,
        redirects: int = 0,
        unrepeatable: bool = False,
        status_suffices: bool = False,
    ) -> Response:
        """
        Send one request once, and read its answer within `seconds` in total.

        Without `into` a body longer than `max_bytes` is truncated; with it the body goes to
        that file and a longer one raises BodyTooLarge. `wanted` gets the status and the
        headers first, and returns whether to read the body. Up to `redirects` are followed
        (GET only; errors are about the last hop), else a 3xx is the answer.
        `unrepeatable` uses a new connection, so that NoAnswer never only means that
        an idle one had died. With `status_suffices` an incomplete body is accepted.
        Raises NotSent or NoAnswer for every failure.
        """
        if redirects and method != "GET":
            raise ValueError("only a GET may follow redirects")
        exchange = RequestContext(self._guard, seconds)
        adapter = _Adapter(self._tls, 1) if unrepeatable else self._adapter
        token = CURRENT_REQUEST.set(exchange)
        try:
            draft = requests.Request(method, url, headers=headers, data=body)
            request = self._prepare(exchange, draft)
            with closing(_open(exchange, adapter, request, redirects)) as response:
                return _read(exchange, response, wanted, max_bytes, into, status_suffices)
        finally:
            CURRENT_REQUEST.reset(token)
            if unrepeatable:
                adapter.close()

    def close(self) -> None:
        """Close the idle connections."""
        if "_adapter" in vars(self):
            self._adapter.close()
        self._session.close()

    def _prepare(
        self, exchange: RequestContext, draft: requests.Request
    ) -> requests.PreparedRequest:
        try:
            exchange.host = origin(str(draft.url)).host
        except ValueError as error:
            raise NotSent(str(error)) from None
        with _failing(exchange):
            return self._session.prepare_request(draft)


@contextmanager
def _failing(exchange: RequestContext) -> Iterator[None]:
    """Turn any error of the libraries into NotSent or NoAnswer."""
    try:
        yield
    except _TROUBLE as error:
        # Not chained, since the libraries' messages contain the full URL.
        word, host = NoAnswer if exchange.sent else NotSent, exchange.host
        kind = type(error).__name__
        if time.monotonic() - exchange.began >= exchange.seconds:
            what = "no complete answer" if exchange.sent else "not sent"
            late = f"{host}: {what} within {exchange.seconds:g} s"
            raise word(late, timed_out=True) from None
        if not exchange.sent:
            raise word(f"{host}: the request could not be sent ({kind})") from None
        broken = f"{host}: the connection broke before the answer was complete ({kind})"
        raise word(broken) from None


def _open(
    exchange: RequestContext,
    adapter: HTTPAdapter,
    request: requests.PreparedRequest,
    redirects: int,
) -> requests.Response:
    for _ in range(redirects + 1):
        exchange.sent = False
        # Not `Session.send`: that reads a redirect's whole body, however long, and keeps cookies.
        with _failing(exchange):
            left = exchange.left()
            response = adapter.send(request, stream=True, timeout=left, proxies={})
        target = response.headers.get("location") if response.is_redirect and redirects else None
        if target is None:
            return response
        response.close()
        request = _next_hop(exchange, request, target)
    raise NoAnswer(f"{exchange.host}: gave up after {redirects} redirects")


def _next_hop(
    exchange: RequestContext, request: requests.PreparedRequest, target: str
) -> requests.PreparedRequest:
    source, following = str(request.url), request.copy()
    try:
        # Header bytes come as latin-1; those that aren't ASCII are meant as UTF-8.
        target = target.encode("latin-1").decode(errors="replace")
        following.prepare_url(urljoin(source, target), None)
        before, after = origin(source), origin(str(following.url))
    except ValueError:
        raise NoAnswer(f"{exchange.host}: redirects to an unusable URL") from None
    if (before.scheme, after.scheme) == ("https", "http"):
        raise NoAnswer(f"{exchange.host}: redirects from https to http, which is not followed")
    if before != after:
        for name in set(map(str.lower, following.headers)) - _HARMLESS:
            del following.headers[name]
    exchange.host = after.host
    return following


def _read(
    exchange: RequestContext,
    response: requests.Response,
    wanted: Wanted | None,
    max_bytes: int,
    into: Sink | None,
    status_suffices: bool,
) -> Response:
    if wanted and not wanted(response.status_code, response.headers):
        return _answer(exchange, response)
    sink: list[bytes] = []
    write = sink.append if into is None else into.write
    size, is_cut = 0, False
    raw = _RawBody(exchange, response, max_bytes + 1)
    coding = response.headers.get("content-encoding", "")
    try:
        for piece in _pieces(exchange, open_decoded(raw, coding), max_bytes + 1):
            size += len(piece)
            if size > max_bytes and into is not None:
                break
            write(piece)
    except NoAnswer:
        if not status_suffices:
            raise
        is_cut = True
    truncated = is_cut or max(size, raw.size) > max_bytes
    if truncated and into is not None:
        raise BodyTooLarge(f"{exchange.host}: the body is longer than {max_bytes} bytes")
    return _answer(
        exchange,
        response,
        body=b"".join(sink)[:max_bytes],
        truncated=truncated,
        size=min(size, max_bytes),
    )


def _answer(
    exchange: RequestContext,
    response: requests.Response,
    *,
    body: bytes = b"",
    truncated: bool = False,
    size: int = 0,
) -> Response:
    seconds = time.monotonic() - exchange.began
    status, headers = response.status_code, response.headers
    return Response(status, headers, body, truncated, size, seconds)


class _RawBody:
    """The encoded body, at most `limit` bytes of it; `size` counts them."""

    def __init__(self, exchange: RequestContext, response: requests.Response, limit: int) -> None:
        self._exchange, self._raw = exchange, response.raw
        self._limit = limit
        self.size = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""
        # `read1`, not `stream`: only the first limits the line that opens a chunk. Not `read`,
        # which waits for all of them and loses what has come where no more does.
        with _failing(self._exchange):
            amount = min(size, self._limit - self.size)
            piece: bytes = self._raw.read1(amount, decode_content=False)
        self.size += len(piece)
        return piece


def _pieces(exchange: RequestContext, body: Source, limit: int) -> Iterator[bytes]:
    while limit > 0:
        with _failing(exchange):
            piece = body.read(min(_PIECE, limit))
        if not piece:
            return
        limit -= len(piece)
        yield piece


class _Adapter(HTTPAdapter):
    """No retries, no proxies, connections with checked addresses, at most `most` idle ones."""

    def __init__(self, tls: ssl.SSLContext, most: int) -> None:
        self._tls = tls
        super().__init__(pool_connections=most, pool_maxsize=most, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = PoolManager(
            connections, maxsize=maxsize, block=block, ssl_context=self._tls, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = POOLS

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the context has the authorities, which are loaded only once."""
