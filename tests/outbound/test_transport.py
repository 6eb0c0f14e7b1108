"""The way down to a socket, as a call takes it: what is refused, and how long it may take."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from support.raw_servers import (
    PUBLIC,
    Client,
    OverSockets,
    Server,
    Start,
    always,
    answer,
    drip,
    names,
    silent,
)

from service.errors import ForbiddenAddress, NoAnswer, NotSent

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


class TestGuard(OverSockets):
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

    @pytest.mark.parametrize(
        "host",
        [
            *("[::1]", "[::]", "[fd00::1]", "[fe80::1]", "[fe80::1%25lo]", "[::ffff:10.0.0.1]"),
            *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "[ff02::1]"),
        ],
    )
    def test_ipv6_literals_are_checked_early(self, client: Client, host: str) -> None:
        """A literal address is judged when it is given, as a name's addresses are."""
        with pytest.raises(ForbiddenAddress):
            client(()).check(f"http://{host}:9/")
        client((), resolver=names(PUBLIC)).check("http://[2606:4700::1111]/")

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


class TestDeadline(OverSockets):
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


class TestTls(OverSockets):
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
