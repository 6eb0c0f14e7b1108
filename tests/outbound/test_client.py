"""The guarded client against real sockets: what is asked, cut, reported and kept apart."""

from __future__ import annotations

import gzip
import logging
import random
import socket
import ssl
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
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
    closed_port,
    drip,
    names,
    once,
    routes,
    to,
)

from service import __version__
from service.errors import BodyTooLarge, ForbiddenAddress, NoAnswer, NotSent, OutboundError


class TestAnswer(OverSockets):
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
        assert (b"hello", 5, False) == (got.body, got.size, got.truncated)
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
        No more than the cap is kept, the cut is reported, and the rest is not even read.
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

    def test_small_body_does_not_unfold_into_a_huge_one(self, start: Start, client: Client) -> None:
        """
        A coded body is decoded up to the cap and no further, in memory as in a file.
        """
        bomb = answer(gzip.compress(bytes(50_000_000)), "200 OK", "Content-Encoding: gzip")
        server, file = start(always(bomb)), BytesIO()

        got = client().call("GET", server.url(), seconds=5, max_bytes=1000)
        with pytest.raises(BodyTooLarge, match="1000 bytes"):
            client().call("GET", server.url(), seconds=5, max_bytes=1000, into=file)

        assert (bytes(1000), 1000, True) == (got.body, got.size, got.truncated)
        assert len(file.getvalue()) <= 1000

    def test_cap_counts_coded_bytes_too(self, start: Start, client: Client) -> None:
        """
        A body that goes on for ever without yielding a byte is not read for ever.
        """
        empty = gzip.compress(b"") * 3000
        server = start(always(answer(empty, "200 OK", "Content-Encoding: gzip")))

        got = client().call("GET", server.url(), seconds=5, max_bytes=1000)

        assert (b"", True) == (got.body, got.truncated)

    def test_damaged_coded_body(self, start: Start, client: Client) -> None:
        """
        What begins in its coding and turns to nonsense is no answer.
        """
        coded = gzip.compress(random.Random(1).randbytes(200_000))
        damaged = coded[:100_000] + bytes(1000) + coded[101_000:]
        server = start(always(answer(damaged, "200 OK", "Content-Encoding: gzip")))

        with pytest.raises(NoAnswer, match="broke"):
            client().call("GET", server.url(), seconds=5, max_bytes=10**6)

    def test_coded_answers_leave_the_connection_usable(self, start: Start, client: Client) -> None:
        """
        A decoded body is read to its end, so the next call needs no new connection.
        """
        coded = answer(gzip.compress(b"x" * 10), "200 OK", "Content-Encoding: gzip")
        server = start(always(b"HTTP/1.1 103 Early Hints\r\n\r\n" + coded))
        outbound = client()

        for _ in range(3):
            assert b"x" * 10 == outbound.call("GET", server.url(), seconds=5, max_bytes=50).body
        assert 1 == server.connections

    @pytest.mark.parametrize("secure", [False, True])
    def test_answer_before_the_request_was_read(
        self, start: Start, client: Client, tls: ssl.SSLContext, ca_file: str, secure: bool
    ) -> None:
        """
        Who refuses a large request at its head is heard, although the rest was never taken.
        """

        def refuse(server: Server, conn: socket.socket) -> None:
            conn.recv(1000)
            conn.sendall(answer(b"no credits", "406 Not Acceptable", "Connection: close"))
            server.stopped.wait(0.3)

        server = start(refuse, tls if secure else None)
        outbound = client(resolver=names("127.0.0.1"), ca_file=ca_file)

        got = outbound.call(
            "POST", server.url(host="hooks.test"), body=b"x" * 20_000_000, seconds=20
        )

        assert (406, b"no credits") == (got.status, got.body)

    def test_provisional_answers_have_a_deadline(self, start: Start, client: Client) -> None:
        """
        A server that only ever promises an answer is left when time is over.
        """

        def promise(server: Server, conn: socket.socket) -> None:
            server.read(conn)
            while not server.stopped.wait(0.05):
                conn.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")

        server = start(promise)
        began = time.monotonic()

        with pytest.raises(NoAnswer, match=r"within 0\.5 s") as caught:
            client().call("POST", server.url(), body=b"x", seconds=0.5)

        assert caught.value.timed_out
        assert 3 > time.monotonic() - began
        assert 1 == len(server.requests)

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


class TestDownload(OverSockets):
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

    def test_body_past_the_cap_is_refused(self, start: Start, client: Client) -> None:
        """
        A file is never silently cut.
        """
        server = start(always(answer(b"x" * 11)))

        with pytest.raises(BodyTooLarge, match=r"127\.0\.0\.1.*10 bytes"):
            client().call("GET", server.url(), seconds=5, max_bytes=10, into=BytesIO())

    @pytest.mark.parametrize("status", [200, 404])
    def test_only_what_is_wanted(self, start: Start, client: Client, status: int) -> None:
        """
        Who asked hears status and headers first, and may leave the body alone.
        """
        server = start(always(answer(b"film", f"{status} X", 'ETag: "1"')))
        file = BytesIO()

        def wanted(status: int, headers: Mapping[str, str]) -> bool:
            return status == 200 and headers["etag"] == '"1"'

        got = client().call("GET", server.url(), seconds=5, into=file, wanted=wanted)

        assert (status, b"film" if status == 200 else b"") == (got.status, file.getvalue())
        assert (len(file.getvalue()), False) == (got.size, got.truncated)

    def test_refused_before_the_body(self, start: Start, client: Client) -> None:
        """
        An error from who asked ends the call and frees the connection.
        """
        server = start(always(answer(b"film")))

        def wanted(status: int, headers: Mapping[str, str]) -> bool:
            raise BodyTooLarge("4 bytes")

        with pytest.raises(BodyTooLarge, match="4 bytes"):
            client().call("GET", server.url(), seconds=5, wanted=wanted)

    def test_trouble_of_the_file_is_not_the_others(
        self, start: Start, client: Client, tmp_path: Path
    ) -> None:
        """
        A full or closed disk is reported as itself, not as a broken connection.
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


class TestCheck(OverSockets):
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
        A URL of the wrong form gets an error that says how to fix it, and is never sent.
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


class TestSentOrNot(OverSockets):
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


class TestRedirects(OverSockets):
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

        headers = {**secrets, "Range": "bytes=0-", "If-Range": '"1"'}

        got = client().call("GET", home.url("/a"), headers=headers, seconds=5, redirects=3)

        assert 200 == got.status
        sent = [request.lower() for request in (*home.requests, *away.requests)]
        for name in map(str.lower, secrets):
            assert [True, True, False, False] == [f"\r\n{name}: " in request for request in sent]
        assert all("\r\nrange: bytes=0-" in request for request in sent)
        assert all('\r\nif-range: "1"' in request for request in sent)

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
        A redirect to nonsense is the other side's fault, reported without repeating it.
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


class TestConnections(OverSockets):
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
