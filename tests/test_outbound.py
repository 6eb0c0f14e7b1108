"""The guarded client against real sockets: what is refused, cut, told and kept apart."""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import trustme

from service import __version__
from service.errors import BodyTooLarge, ForbiddenAddress, NoAnswer, NotSent, OutboundError
from service.outbound import Outbound, Resolver

LOCAL = ("127.0.0.0/8", "::1/128")
PUBLIC = "93.184.215.14"
Handler = Callable[["Server", socket.socket], None]


def is_whole(data: bytes) -> bool:
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


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[Server] = []

    def make(handle: Handler, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(handle, tls))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def client() -> Iterator[Client]:
    clients: list[Outbound] = []

    def make(allowed: tuple[str, ...] = LOCAL, **options: Any) -> Outbound:
        clients.append(Outbound(allowed, **options))
        return clients[-1]

    yield make
    for made in clients:
        made.close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class TestAnswer:
    def test_request_and_answer_arrive_whole(self, start: Start, client: Client) -> None:
        """
        The other side gets method, body and headers; the caller gets all that was said.
        """
        server = start(always(answer(b"hello", "201 Created", "X-Kind: new")))

        got = client().call(
            "POST", server.url("/a?b=c"), headers={"X-Key": "k"}, body=b"body", seconds=5
        )

        assert 201 == got.status
        assert "new" == got.headers["x-kind"]
        assert (b"hello", 5, False, None) == (got.body, got.size, got.truncated, got.sha256)
        assert 0 < got.seconds < 5
        request = server.requests[0].lower()
        assert request.startswith("post /a?b=c http/1.1\r\n")
        assert request.endswith("\r\n\r\nbody")
        assert "\r\nx-key: k\r\n" in request
        assert f"\r\nuser-agent: clipbell/{__version__}\r\n" in request
        assert "\r\naccept-encoding: identity\r\n" in request
        assert f"\r\nhost: 127.0.0.1:{server.port}\r\n" in request

    def test_user_agent_may_be_given(self, start: Start, client: Client) -> None:
        """
        A caller's own User-Agent replaces ours.
        """
        server = start(always(answer()))

        client().call("GET", server.url(), headers={"user-agent": "Mine"}, seconds=5)

        assert "user-agent: mine\r\n" in server.requests[0].lower()
        assert "clipbell" not in server.requests[0].lower()

    @pytest.mark.parametrize("status", ["204 No Content", "404 Not Found", "500 Oops"])
    def test_every_status_is_an_answer(self, start: Start, client: Client, status: str) -> None:
        """
        A refusal is something that was said; it raises nothing.
        """
        server = start(always(answer(b"", status)))

        assert int(status[:3]) == client().call("GET", server.url(), seconds=5).status

    def test_body_past_the_cap_is_cut(self, start: Start, client: Client) -> None:
        """
        No more than the cap is kept, the cut is told, and the rest is not even read.
        """
        endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000
        server = start(drip(endless))

        got = client().call("GET", server.url(), seconds=5, max_bytes=10)

        assert (b"x" * 10, 10, True) == (got.body, got.size, got.truncated)
        assert got.seconds < 2

    def test_body_of_exactly_the_cap_is_whole(self, start: Start, client: Client) -> None:
        """
        The cap itself is allowed, and the connection is used again.
        """
        server = start(always(answer(b"x" * 10)))
        outbound = client()

        for _ in range(2):
            got = outbound.call("GET", server.url(), seconds=5, max_bytes=10)

            assert (b"x" * 10, 10, False) == (got.body, got.size, got.truncated)
        assert 1 == server.connections

    def test_compressed_body_is_left_alone(self, start: Start, client: Client) -> None:
        """
        Bytes stay as they came, so a small body can't unfold into a huge one.
        """
        server = start(always(answer(b"not gzip", "200 OK", "Content-Encoding: gzip")))

        assert b"not gzip" == client().call("GET", server.url(), seconds=5).body

    def test_chunked_body(self, start: Start, client: Client) -> None:
        """
        A body without a length is put together from its chunks.
        """
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server = start(always(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))

        assert b"abcde" == client().call("GET", server.url(), seconds=5).body

    def test_chunk_that_never_begins_is_not_hoarded(self, start: Start, client: Client) -> None:
        """
        A chunk's opening line has a limit; memory doesn't grow with what is sent.
        """
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server = start(drip(head + b"1" * 1_000_000))

        with pytest.raises(NoAnswer):
            client().call("GET", server.url(), seconds=5)


class TestDownload:
    def test_body_goes_to_the_file_with_its_hash(self, start: Start, client: Client) -> None:
        """
        A video lands in the file byte for byte, and nothing of it stays in memory.
        """
        video = bytes(range(256)) * 2000
        server = start(always(answer(video)))
        file = BytesIO()

        got = client().call("GET", server.url(), seconds=5, max_bytes=len(video), into=file)

        assert video == file.getvalue()
        assert (b"", len(video), False) == (got.body, got.size, got.truncated)
        assert hashlib.sha256(video).hexdigest() == got.sha256

    def test_body_past_the_cap_is_refused(self, start: Start, client: Client) -> None:
        """
        A file is never silently cut.
        """
        server = start(always(answer(b"x" * 11)))

        with pytest.raises(BodyTooLarge, match=r"127\.0\.0\.1.*10 bytes"):
            client().call("GET", server.url(), seconds=5, max_bytes=10, into=BytesIO())

    def test_trouble_of_the_file_is_not_the_others(
        self, start: Start, client: Client, tmp_path: Path
    ) -> None:
        """
        A full or closed disk is told as itself, not as a broken connection.
        """
        server = start(always(answer()))
        (tmp_path / "read-only").touch()

        with (tmp_path / "read-only").open("rb") as file, pytest.raises(OSError, match="write"):
            client().call("GET", server.url(), seconds=5, into=file)

    @pytest.mark.parametrize(
        "cut",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ],
    )
    @pytest.mark.parametrize("into_file", [True, False])
    def test_body_that_ends_early(
        self, start: Start, client: Client, cut: bytes, into_file: bool
    ) -> None:
        """
        Half an answer is no answer, however its length was announced.
        """
        server = start(once(cut))

        with pytest.raises(NoAnswer, match="broke"):
            client().call("GET", server.url(), seconds=5, into=BytesIO() if into_file else None)


FORBIDDEN = [
    "0.0.0.0",  # noqa: S104 (nothing is bound to it)
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:168.63.129.16",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


class TestGuard:
    @pytest.mark.parametrize("address", FORBIDDEN)
    def test_forbidden_address_behind_a_name(self, client: Client, address: str) -> None:
        """
        No name leads inside, neither when it is given nor when it is called.
        """
        outbound = client((), resolver=names(address))

        with pytest.raises(ForbiddenAddress, match=r"hooks\.test.*CLIPBELL_ALLOWED_NETWORKS"):
            outbound.check("https://hooks.test/")
        with pytest.raises(ForbiddenAddress) as caught:
            outbound.call("GET", "https://hooks.test/", seconds=5)
        assert address not in str(caught.value)

    @pytest.mark.parametrize("addresses", [(PUBLIC, "10.0.0.1"), ("::1", "2606:4700::1111")])
    def test_one_forbidden_answer_spoils_all(
        self, client: Client, addresses: tuple[str, ...]
    ) -> None:
        """
        A name with a public and a private address is refused before anything is dialled.
        """
        outbound = client((), resolver=names(*addresses))

        with pytest.raises(ForbiddenAddress):
            outbound.check("http://hooks.test/")
        with pytest.raises(ForbiddenAddress):
            outbound.call("GET", "http://hooks.test/", seconds=5)

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "0",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "localhost",
            "localhost.",
            "127。0。0。1",  # ideographic full stops
            "①②⑦.⓪.⓪.①",
        ],
    )
    def test_odd_spellings_of_this_machine(self, client: Client, host: str) -> None:
        """
        However loopback is written, it isn't reached.
        """
        outbound = client(())

        with pytest.raises((NotSent, ValueError)):
            outbound.check(f"http://{host}:9/")
        with pytest.raises(NotSent):
            outbound.call("GET", f"http://{host}:9/", seconds=5)

    def test_name_that_changes_its_answer(self, start: Start, client: Client) -> None:
        """
        Passing the early check opens nothing: each dial asks once and dials what it checked.
        """
        server = start(always(answer()))
        answers = [PUBLIC, "127.0.0.1", PUBLIC]
        outbound = client((), resolver=lambda host, port, **_: names(answers.pop(0))(host, port))

        outbound.check(server.url(host="hooks.test"))
        with pytest.raises(ForbiddenAddress):
            outbound.call("GET", server.url(host="hooks.test"), seconds=5)

        assert [PUBLIC] == answers
        assert 0 == server.connections

    def test_allowed_network_is_reached(self, start: Start, client: Client) -> None:
        """
        What the operator allows is called like any other; its neighbours aren't.
        """
        server = start(always(answer()))
        outbound = client(("127.0.0.1",), resolver=names("127.0.0.1", other=["127.0.0.2"]))

        outbound.check(server.url(host="hooks.test"))

        assert 200 == outbound.call("GET", server.url(host="hooks.test"), seconds=5).status
        assert f"host: hooks.test:{server.port}\r\n" in server.requests[0].lower()
        with pytest.raises(ForbiddenAddress):
            outbound.check(server.url(host="other.test"))

    def test_first_address_refuses(self, start: Start, client: Client) -> None:
        """
        A name whose first address is dead is reached by its next.
        """
        server = start(always(answer()))
        outbound = client(resolver=names("::1", "127.0.0.1"))

        assert 200 == outbound.call("GET", server.url(host="hooks.test"), seconds=5).status

    def test_first_address_is_mute(self, start: Start, client: Client) -> None:
        """
        An address that swallows packets doesn't eat the time of the next one.
        """
        server = start(always(answer()))
        outbound = client(resolver=names("::1", "127.0.0.1"))

        with full_listener(server.port):
            got = outbound.call("GET", server.url(host="hooks.test"), seconds=2)

        assert 200 == got.status
        assert 0.9 < got.seconds

    def test_proxies_and_netrc_of_the_environment(
        self, start: Start, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The environment neither diverts a call nor adds a password to it.
        """
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        (tmp_path / "netrc").write_text("default login alice password hunter2\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server = start(always(answer()))

        assert 200 == client().call("GET", server.url(), seconds=5).status
        assert "authorization" not in server.requests[0].lower()


@contextmanager
def full_listener(port: int) -> Iterator[None]:
    """A port of ::1 whose queue is full, so that a connect gets no reply."""
    sockets = [socket.socket(socket.AF_INET6, socket.SOCK_STREAM) for _ in range(4)]
    try:
        with suppress(OSError):
            sockets[0].bind(("::1", port))
        if ("::1", port) != sockets[0].getsockname()[:2]:
            pytest.skip("this machine has no ::1")
        sockets[0].listen(0)
        for sock in sockets[1:]:
            sock.setblocking(False)
            sock.connect_ex(("::1", port))
        yield
    finally:
        for sock in sockets:
            sock.close()


class TestCheck:
    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("", "https://"),
            ("hooks.test/path", "https://"),
            ("ftp://hooks.test/", "https://"),
            ("file:///etc/passwd", "https://"),
            ("javascript:alert(1)", "https://"),
            ("https://", "no usable host"),
            ("https:hooks.test", "no usable host"),
            ("https://alice:hunter2@hooks.test/", "user name"),
            ("https://alice@hooks.test/", "user name"),
            ("https://hooks.test:0/", "no usable host and port"),
            ("https://hooks.test:65536/", "malformed"),
            ("https://hooks.test:https/", "malformed"),
            ("https://[::1/", "malformed"),
            ("https://hooks.test/a b", "space"),
            ("https://hooks.test/\r\nX: y", "control"),
            ("https://" + "a" * 254, "malformed|usable"),
        ],
    )
    def test_form(self, client: Client, url: str, says: str) -> None:
        """
        A URL of the wrong form is told how to mend it, and is never sent.
        """
        outbound = client(resolver=names(PUBLIC))

        with pytest.raises(ValueError, match=says) as caught:
            outbound.check(url)
        with pytest.raises(NotSent, match=says):
            outbound.call("GET", url, seconds=5)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize(
        "url", ["https://hooks.test", "http://hooks.test:8080/a?b#c", "HTTPS://bücher.test/ü"]
    )
    def test_good_url(self, client: Client, url: str) -> None:
        """
        An ordinary public URL passes.
        """
        client((), resolver=names(PUBLIC)).check(url)

    @pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label")])
    def test_unknown_name(self, client: Client, error: Exception) -> None:
        """
        A name without an address is a matter of sending, not of form.
        """

        def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
            raise error

        outbound = client(resolver=resolve)

        with pytest.raises(NotSent, match=r"nowhere\.test does not resolve") as caught:
            outbound.check("https://nowhere.test/")
        assert not isinstance(caught.value, ForbiddenAddress)
        with pytest.raises(NotSent):
            outbound.call("GET", "https://nowhere.test/", seconds=5)


class TestDeadline:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nX-Long: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9999\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ],
    )
    @pytest.mark.parametrize("secure", [False, True])
    def test_drip(
        self,
        start: Start,
        client: Client,
        ca_file: str,
        tls: ssl.SSLContext,
        data: bytes,
        secure: bool,
    ) -> None:
        """
        A server that keeps dripping, wherever in its answer, is left on time.
        """
        server = start(drip(data), tls if secure else None)
        outbound = client(resolver=names("127.0.0.1"), ca_file=ca_file)
        began = time.monotonic()

        with pytest.raises(NoAnswer, match=r"hooks\.test: no complete answer within 0\.3 s"):
            outbound.call("GET", server.url(host="hooks.test"), seconds=0.3)

        assert 0.3 <= time.monotonic() - began < 2

    def test_server_that_does_not_read(self, start: Start, client: Client) -> None:
        """
        Sending has the same deadline as reading.
        """
        server = start(silent)

        with pytest.raises(NoAnswer, match="within"):
            client().call("POST", server.url(), body=bytes(32_000_000), seconds=0.3)

    def test_mute_handshake(self, start: Start, client: Client) -> None:
        """
        As long as TLS isn't there, nothing was sent.
        """
        server = start(silent)

        with pytest.raises(NotSent, match="not sent within"):
            client().call("GET", f"https://127.0.0.1:{server.port}/", seconds=0.3)

    @pytest.mark.parametrize(("resolve_seconds", "seconds"), [(0.2, 5.0), (5.0, 0.2)])
    def test_slow_name_server(self, client: Client, resolve_seconds: float, seconds: float) -> None:
        """
        A name that takes too long is given up, by its own limit or by the call's.
        """
        over = threading.Event()

        def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
            over.wait(10)
            return []

        outbound = client(resolver=resolve, resolve_seconds=resolve_seconds)
        began = time.monotonic()

        with pytest.raises(NotSent, match=r"slow\.test"):
            outbound.call("GET", "http://slow.test/", seconds=seconds)

        over.set()
        assert time.monotonic() - began < 1

    def test_deadline_belongs_to_the_call(self, start: Start, client: Client) -> None:
        """
        A connection that is used again starts with the next call's time, shorter or longer.
        """

        def handle(server: Server, conn: socket.socket) -> None:
            server.read(conn)
            conn.sendall(answer())
            server.read(conn)
            server.stopped.wait(0.4)
            conn.sendall(answer(b"late"))
            server.read(conn)
            server.stopped.wait(5)

        server, outbound = start(handle), client()

        assert 200 == outbound.call("GET", server.url(), seconds=0.3).status
        assert b"late" == outbound.call("GET", server.url(), seconds=5).body
        with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
            outbound.call("GET", server.url(), seconds=0.2)
        assert 1 == server.connections


class TestSentOrNot:
    def test_refused_connection(self, client: Client) -> None:
        """
        Nobody there: certainly not sent.
        """
        port = closed_port()

        with pytest.raises(
            NotSent, match=rf"127\.0\.0\.1: no connection to port {port}: .*refused"
        ):
            client().call("POST", f"http://127.0.0.1:{port}/", body=b"x", seconds=5)

    @pytest.mark.parametrize(
        "data",
        [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    )
    def test_dropped_after_sending(self, start: Start, client: Client, data: bytes) -> None:
        """
        Once it was sent, silence and nonsense mean that it may have been received, and
        nothing is repeated.
        """
        server = start(once(data))

        with pytest.raises(NoAnswer, match=r"127\.0\.0\.1: "):
            client().call("POST", server.url(), body=b"x", seconds=5)

        assert (1, 1) == (server.connections, len(server.requests))

    @pytest.mark.parametrize("value", ["a\r\nb: c", "snow ☃"])
    def test_unusable_header(self, start: Start, client: Client, value: str) -> None:
        """
        A header that cannot be written stops the request before it leaves.
        """
        server = start(always(answer()))

        with pytest.raises(NotSent):
            client().call("GET", server.url(), headers={"X-Name": value}, seconds=5)

        assert [] == server.requests

    def test_no_time_at_all(self, start: Start, client: Client) -> None:
        """
        A deadline that has passed sends nothing.
        """
        server = start(always(answer()))

        with pytest.raises(NotSent, match="not sent within 0 s"):
            client().call("GET", server.url(), seconds=0)

        assert 0 == server.connections

    def test_errors_and_logs_keep_the_url_to_themselves(
        self, start: Start, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        """
        A URL may be the secret; neither message, traceback nor log repeats it.
        """
        caplog.set_level(logging.DEBUG)
        secret = "".join(["hush", "hush"])
        server = start(always(answer(b"", "200 OK", "Broken header")))
        broken = start(once(b""))
        outbound = client()

        outbound.call("GET", server.url(f"/{secret}"), seconds=5)
        with pytest.raises(OutboundError) as after:
            outbound.call("GET", broken.url(f"/{secret}"), headers={"K": secret}, seconds=5)
        with pytest.raises(OutboundError) as before:
            outbound.call("GET", f"http://127.0.0.1:{closed_port()}/?{secret}", seconds=5)

        for caught in (after, before):
            assert secret not in "".join(traceback.format_exception(caught.value))
        assert secret not in caplog.text


class TestTls:
    def test_right_name(
        self, start: Start, client: Client, ca_file: str, tls: ssl.SSLContext
    ) -> None:
        """
        The certificate is held against the name, though an address is dialled; the
        connection is kept.
        """
        asked: list[str | None] = []
        tls.sni_callback = lambda _sock, name, _context: asked.append(name)
        server = start(always(answer(b"safe")), tls)
        outbound = client(resolver=names("127.0.0.1"), ca_file=ca_file)

        for _ in range(2):
            url = server.url(host="hooks.test")
            assert b"safe" == outbound.call("POST", url, body=b"x" * 100_000, seconds=5).body

        assert ["hooks.test"] == asked
        assert f"host: hooks.test:{server.port}\r\n" in server.requests[0].lower()

    @pytest.mark.parametrize("host", ["wrong.test", "127.0.0.1"])
    def test_wrong_name(
        self, start: Start, client: Client, ca_file: str, tls: ssl.SSLContext, host: str
    ) -> None:
        """
        A certificate of another name ends it before the request leaves.
        """
        server = start(always(answer()), tls)
        outbound = client(resolver=names("127.0.0.1"), ca_file=ca_file)

        with pytest.raises(NotSent, match=rf"{host}: no TLS connection: .*mismatch"):
            outbound.call("POST", server.url(host=host), body=b"x", seconds=5)

        assert [] == server.requests

    def test_unknown_authority(self, start: Start, client: Client, tls: ssl.SSLContext) -> None:
        """
        Without the bundle, only the usual authorities are believed.
        """
        server = start(always(answer()), tls)

        with pytest.raises(NotSent, match=r"no TLS connection: .*issuer"):
            client(resolver=names("127.0.0.1")).call(
                "GET", server.url(host="hooks.test"), seconds=5
            )

    def test_not_tls_at_all(self, start: Start, client: Client) -> None:
        """
        A port that speaks plainly gets no request that was meant for TLS.
        """
        server = start(lambda _, conn: conn.sendall(answer(b"", "400 Bad Request")))

        with pytest.raises(NotSent, match=r"127\.0\.0\.1: "):
            client().call("GET", f"https://127.0.0.1:{server.port}/", seconds=5)


def routes(table: dict[str, bytes]) -> Handler:
    """Answers by path."""

    def handle(server: Server, conn: socket.socket) -> None:
        while request := server.read(conn):
            conn.sendall(table[request.split(" ")[1]])

    return handle


def to(target: str, status: str = "302 Found") -> bytes:
    return answer(b"moved", status, f"Location: {target}")


class TestRedirects:
    def test_not_followed_unless_asked(self, start: Start, client: Client) -> None:
        """
        A redirect is an answer like any other, and its body is capped like any other.
        """
        server = start(drip(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n" + b"x" * 100))

        got = client().call("POST", server.url("/a"), body=b"x", seconds=5, max_bytes=10)

        assert (302, b"x" * 10, "/b") == (got.status, got.body, got.headers["location"])
        assert 1 == len(server.requests)

    def test_target_outside_of_ascii(self, start: Start, client: Client) -> None:
        """
        A name in UTF-8 arrives percent-encoded.
        """
        server = start(routes({"/a": to("/é"), "/%C3%A9": answer(b"film")}))

        assert b"film" == client().call("GET", server.url("/a"), seconds=5, redirects=1).body

    @pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
    def test_followed_as_often_as_asked(self, start: Start, client: Client, status: str) -> None:
        """
        A download that moved is found, and the file holds only the last body.
        """
        table = {"/a": to("b", status), "/b": to("/c?d=e", status), "/c?d=e": answer(b"film")}
        server, file = start(routes(table)), BytesIO()

        got = client().call("GET", server.url("/a"), seconds=5, redirects=2, into=file)

        assert (200, b"film") == (got.status, file.getvalue())

    def test_loop(self, start: Start, client: Client) -> None:
        """
        A circle ends at the given number.
        """
        server = start(routes({"/a": to("/a")}))

        with pytest.raises(NoAnswer, match="gave up after 3 redirects"):
            client().call("GET", server.url("/a"), seconds=5, redirects=3)

        assert 4 == len(server.requests)

    def test_credentials_stay_at_home(self, start: Start, client: Client) -> None:
        """
        The same origin gets them again; another doesn't, nor does the first when it is
        reached by way of another.
        """
        table = {"/a": to("/b"), "/end": answer()}
        home = start(routes(table))
        away = start(routes({"/": to(home.url("/end"))}))
        table["/b"] = to(away.url())
        secrets = {"Authorization": "Bearer t", "X-API-Key": "k", "Cookie": "c=d", "X-Own": "o"}

        got = client().call(
            "GET", home.url("/a"), headers={**secrets, "Range": "bytes=0-"}, seconds=5, redirects=3
        )

        assert 200 == got.status
        sent = [request.lower() for request in (*home.requests, *away.requests)]
        for name in map(str.lower, secrets):
            assert [True, True, False, False] == [f"\r\n{name}: " in request for request in sent]
        assert all("\r\nrange: bytes=0-" in request for request in sent)

    def test_each_hop_is_guarded(self, start: Start, client: Client) -> None:
        """
        A public server can't send us inside.
        """
        server = start(routes({"/": to("http://inner.test/")}))
        outbound = client(resolver=names("127.0.0.1", inner=["10.0.0.1"]))

        with pytest.raises(ForbiddenAddress, match=r"inner\.test"):
            outbound.call("GET", server.url(host="hooks.test"), seconds=5, redirects=1)

    def test_downgrade_is_refused(
        self, start: Start, client: Client, ca_file: str, tls: ssl.SSLContext
    ) -> None:
        """
        What began with TLS doesn't go on without.
        """
        plain = start(always(answer()))
        secure = start(routes({"/": to(plain.url())}), tls)
        outbound = client(resolver=names("127.0.0.1"), ca_file=ca_file)

        with pytest.raises(NoAnswer, match="https to http"):
            outbound.call("GET", secure.url(host="hooks.test"), seconds=5, redirects=1)

        assert [] == plain.requests

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "http://[", "http://a:b@c.test/"])
    def test_unusable_target(self, start: Start, client: Client, target: str) -> None:
        """
        A redirect to nonsense is the other side's fault, told without repeating it.
        """
        server = start(routes({"/": to(target)}))

        with pytest.raises(NoAnswer, match=r"127\.0\.0\.1: redirects to an unusable URL"):
            client().call("GET", server.url(), seconds=5, redirects=1)

    def test_deadline_spans_all_hops(self, start: Start, client: Client) -> None:
        """
        Hops don't add up their time.
        """

        def handle(server: Server, conn: socket.socket) -> None:
            while server.read(conn) and not server.stopped.wait(0.15):
                conn.sendall(to("/"))

        with pytest.raises(NoAnswer, match=r"within 0\.4 s"):
            client().call("GET", start(handle).url(), seconds=0.4, redirects=50)

    def test_only_for_downloads(self, client: Client) -> None:
        """
        A request that changes something is never sent to a second place.
        """
        with pytest.raises(ValueError, match="GET"):
            client().call("POST", "http://hooks.test/", seconds=5, redirects=1)


class TestConnections:
    def test_unrepeatable_takes_a_fresh_connection(self, start: Start, client: Client) -> None:
        """
        An idle connection that dies under an ordinary call leaves doubt; an unrepeatable
        one doesn't take it, and leaves none behind.
        """

        def handle(server: Server, conn: socket.socket) -> None:
            server.read(conn)
            conn.sendall(answer())
            server.read(conn)

        server, outbound = start(handle), client()
        outbound.call("GET", server.url(), seconds=5)

        got = outbound.call("POST", server.url(), body=b"pay", seconds=5, unrepeatable=True)

        assert (200, 2) == (got.status, server.connections)
        assert server.hung_up.wait(5)
        with pytest.raises(NoAnswer):
            outbound.call("POST", server.url(), body=b"x", seconds=5)
        assert 2 == server.connections

    def test_no_cookies_between_calls(self, start: Start, client: Client) -> None:
        """
        Nothing that one answer sets goes out with another call.
        """
        moved = answer(b"", "302 Found", "Location: /b", "Set-Cookie: a=b; Path=/")
        settled = answer(b"", "200 OK", "Set-Cookie: c=d; Path=/")
        server = start(routes({"/a": moved, "/b": settled}))
        outbound = client()

        for redirects in (1, 0, 1):
            outbound.call("GET", server.url("/a"), seconds=5, redirects=redirects)

        assert 5 == len(server.requests)
        assert not any("\r\ncookie:" in request.lower() for request in server.requests)

    def test_threads_share_the_pool(self, start: Start, client: Client) -> None:
        """
        Many threads call at once, each gets its own answer, and connections are reused.
        """

        def echo(server: Server, conn: socket.socket) -> None:
            while request := server.read(conn):
                conn.sendall(answer(request.split(" ")[1].encode()))

        server, outbound = start(echo), client()

        def work(worker: int) -> list[bytes]:
            paths = [f"/{worker}-{n}" for n in range(50)]
            return [outbound.call("GET", server.url(path), seconds=10).body for path in paths]

        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(work, range(8)))

        assert [[f"/{w}-{n}".encode() for n in range(50)] for w in range(8)] == bodies
        assert server.connections <= 8
