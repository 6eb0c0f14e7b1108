"""
The harness of the outgoing calls' tests: servers of raw bytes on loopback, and who calls them.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.outbound.client import Outbound
from service.outbound.transport import Resolver

LOCAL = ("127.0.0.0/8", "::1/128")
PUBLIC = "93.184.215.14"
Handler = Callable[["Server", socket.socket], None]


def is_whole(data: bytes) -> bool:
    """Whether a request is there, head and body."""
    head, blank, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(blank) and len(body) >= (int(length[1]) if length else 0)


class Server:
    """Gives each connection to `handle`, in a thread; keeps the requests it read."""

    def __init__(self, handle: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.hung_up = threading.Event()
        self.stopped = threading.Event()
        self._handle, self._tls = handle, tls
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for conn in list(self._open):
            # Wakes a handler that reads; it closes its own socket.
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def read(self, conn: socket.socket) -> str:
        """One request, head and body; empty when the other side hung up."""
        data = b""
        while not is_whole(data):
            piece = conn.recv(65536)
            if not piece:
                self.hung_up.set()
                return ""
            data += piece
        self.requests.append(data.decode("latin-1"))
        return self.requests[-1]

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(conn)
            self._start(self._serve, conn)

    def _serve(self, conn: socket.socket) -> None:
        try:
            if self._tls:
                conn = self._tls.wrap_socket(conn, server_side=True)
                self._open.append(conn)
            self._handle(self, conn)
        except OSError:
            pass
        finally:
            conn.close()


Start = Callable[..., Server]
Client = Callable[..., Outbound]


class OverSockets:
    """A class of tests with servers, clients and a certificate for ``hooks.test``."""

    @pytest.fixture
    def start(self) -> Iterator[Start]:
        """Servers that end with the test."""
        servers: list[Server] = []

        def make(handle: Handler, tls: ssl.SSLContext | None = None) -> Server:
            servers.append(Server(handle, tls))
            return servers[-1]

        yield make
        for server in servers:
            server.close()

    @pytest.fixture
    def client(self) -> Iterator[Client]:
        """Outbounds that end with the test; they may reach loopback."""
        clients: list[Outbound] = []

        def make(allowed: tuple[str, ...] = LOCAL, **options: Any) -> Outbound:
            clients.append(Outbound(allowed, **options))
            return clients[-1]

        yield make
        for made in clients:
            made.close()

    @pytest.fixture
    def authority(self) -> trustme.CA:
        """Signs the certificate."""
        return trustme.CA()

    @pytest.fixture
    def ca_file(self, authority: trustme.CA, tmp_path: Path) -> str:
        """The authority, as an outbound takes it."""
        path = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(path))
        return str(path)

    @pytest.fixture
    def tls(self, authority: trustme.CA) -> ssl.SSLContext:
        """A server's side, for hooks.test."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("hooks.test").configure_cert(context)
        return context


def names(*addresses: str, **more: list[str]) -> Resolver:
    """A resolver that gives `addresses` for every name but those of `more`."""

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in more.get(host.partition(".")[0], addresses)
        ]

    return resolve


def answer(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    """An HTTP answer as its bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def always(*data: bytes) -> Handler:
    """Answers the requests of a connection with `data` in turn, the last one for ever."""

    def handle(server: Server, conn: socket.socket) -> None:
        turn = 0
        while server.read(conn):
            conn.sendall(data[min(turn, len(data) - 1)])
            turn += 1

    return handle


def once(data: bytes) -> Handler:
    """Answers one request with `data` and hangs up."""

    def handle(server: Server, conn: socket.socket) -> None:
        server.read(conn)
        conn.sendall(data)

    return handle


def drip(data: bytes) -> Handler:
    """Answers with `data` and then one byte each 50 ms, without end."""

    def handle(server: Server, conn: socket.socket) -> None:
        server.read(conn)
        conn.sendall(data)
        while not server.stopped.wait(0.05):
            conn.sendall(b"x")

    return handle


def silent(server: Server, conn: socket.socket) -> None:
    """Accepts, and neither reads nor writes."""
    server.stopped.wait(30)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def routes(table: dict[str, bytes]) -> Handler:
    """Answers by path."""

    def handle(server: Server, conn: socket.socket) -> None:
        while request := server.read(conn):
            conn.sendall(table[request.split(" ")[1]])

    return handle


def to(target: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return answer(b"moved", status, f"Location: {target}")
