"""
The same answer in every form that HTTP allows (RFC 9110, 9112), to each of our calls.

A task that was paid for must not be lost to the way in which a server or a proxy
writes what it says.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.channel_targets import delivery_request, frozen
from support.harness import NOON
from support.raw_servers import LOCAL, Handler, Server
from support.reach import access

from service.channels.slack import Slack
from service.channels.slack_bot import SlackBot
from service.channels.webhook import Webhook
from service.errors import DeliveryError, Refused, Unanswered
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import Job, TaskState
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from service.providers.segmind_sync import SegmindSync
from service.providers.segmind_v2 import Segmind
from service.settings import load_settings
from service.storage import FileStorage
from service.videos.downloads import opened

Form = Callable[[bytes], bytes]

FILM = b"\0\0\0\x18ftypmp42" + b"film" * 50_000


def written(status: str, *headers: str, length: bool = True, close: bool = False) -> Form:
    """The answer with this status line and these headers."""

    def form(body: bytes) -> bytes:
        lines = [f"HTTP/1.1 {status}", *headers]
        lines += [f"Content-Length: {len(body)}"] if length else []
        lines += ["Connection: close"] if close else []
        return "\r\n".join([*lines, "", ""]).encode() + body

    return form


def after(*provisional: bytes) -> Form:
    """The answer after these."""
    return lambda body: b"".join(provisional) + written("200 OK")(body)


def coded(header: str, code: Callable[[bytes], bytes]) -> Form:
    """The answer in a content coding, although none was asked for."""
    return lambda body: written("200 OK", f"Content-Encoding: {header}")(code(body))


def chunked(line: str, chunk: bytes = b"%x\r\n%b\r\n", end: bytes = b"0\r\n\r\n") -> Form:
    """The answer in one chunk."""
    head = f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n".encode()
    return lambda body: head + chunk % (len(body), body) + end


def coded_chunks(line: str) -> Form:
    """The answer in one chunk, in a transfer coding."""
    return lambda body: chunked(line)(gzip.compress(body))


def joined_lengths(body: bytes) -> bytes:
    """A proxy has joined two equal lengths."""
    lengths = f"Content-Length: {len(body)}, {len(body)}"
    return written("200 OK", lengths, length=False)(body)


FORMS: dict[str, Form] = {
    "100": after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103": after(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"),
    "many of 1xx": after(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 50, b"HTTP/1.1 103 E\r\n\r\n"),
    "201": written("201 Created", "Location: /elsewhere"),
    "202": written("202 Accepted"),
    "203": written("203 Non-Authoritative Information"),
    "no reason": written("200"),
    "gzip": coded("gzip", gzip.compress),
    "GZIP, padded": coded("GZIP ", gzip.compress),
    "deflate": coded("deflate", zlib.compress),
    "piled up": coded("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "coding untrue": coded("gzip", bytes),
    "coding unknown": coded("utf-8", bytes),
    "identity": coded("identity", bytes),
    "chunked": chunked("Transfer-Encoding: chunked"),
    "chunked, in capitals": chunked("TRANSFER-ENCODING: Chunked"),
    "chunked, padded": chunked("Transfer-Encoding: chunked \t"),
    "chunked, folded": chunked("Transfer-Encoding:\r\n chunked"),
    "extensions and trailers": chunked(
        "Transfer-Encoding: chunked", b'%X;a="b"\r\n%b\r\n', b"0\r\nX-Sum: 1\r\nX: 2\r\n\r\n"
    ),
    "chunked and a length": chunked("Transfer-Encoding: chunked\r\nContent-Length: 5"),
    "gzip by a proxy": coded_chunks("Transfer-Encoding: gzip, chunked"),
    "gzip by a proxy, in two fields": coded_chunks(
        "Transfer-Encoding: GZIP\r\nContent-Length: 5\r\ntransfer-encoding: chunked"
    ),
    "gzip by a proxy, over deflate": lambda body: coded_chunks(
        "Content-Encoding: deflate\r\nTransfer-Encoding: x-gzip , chunked"
    )(zlib.compress(body)),
    "gzip by a proxy, until it closes": lambda body: written(
        "200 OK", "Transfer-Encoding: gzip", length=False, close=True
    )(gzip.compress(body)),
    "until it closes": written("200 OK", length=False, close=True),
    "HTTP/1.0": lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
    "lengths joined": joined_lengths,
    "length folded": lambda body: (
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n %d\r\n\r\n%b" % (len(body), body)
    ),
    "bare line feeds": lambda body: (
        b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%b" % (len(body), body)
    ),
    "a broken field first": written("200 OK", "no field at all", "X : y"),
    "150 fields": written("200 OK", *[f"Link: <{number}>" for number in range(150)]),
    "upper case": written("200 OK", "CONTENT-TYPE: APPLICATION/JSON; CHARSET=UTF-8"),
    "wrong type": written("200 OK", "Content-Type: text/html"),
    "no UTF-8 in a field": lambda body: (
        b"HTTP/1.1 200 OK\r\nX: \xff\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    ),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    """Each form in turn."""
    return FORMS[request.param]


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(LOCAL)
    yield made
    made.close()


def serving(data: bytes) -> Handler:
    """Answers one request, and hangs up only where the answer ends by that."""

    def handle(server: Server, conn: object) -> None:
        server.read(conn)  # type: ignore[arg-type]
        conn.sendall(data)  # type: ignore[attr-defined]
        head = data.partition(b"\r\n\r\n")[0]
        if b"Connection: close" not in head and not data.startswith(b"HTTP/1.0"):
            server.stopped.wait(10)

    return handle


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Server]]:
    """Servers that end with the test."""
    made: list[Server] = []

    def start(data: bytes) -> Server:
        made.append(Server(serving(data)))
        return made[-1]

    yield start
    for server in made:
        server.close()


Serve = Callable[[bytes], Server]


def job_for(model: str, provider: str) -> Job:
    """A job as it is sent."""
    body = {"model": model, "input": {"prompt": "A fox", "duration": 5}}
    asked = check_request(body, {}, Market({provider}, {}, NOON.date()))
    job = planned_job(load_settings({}, secret_keys="k" * 40), "acc", asked, NOON)
    return replace(job, task_id="t1")


def test_create_and_status_of_apixo(form: Form, outbound: Outbound, serve: Serve) -> None:
    """The task is known by its id, and its end is understood."""
    made = {"code": 200, "message": "success", "data": {"taskId": "0123456789"}}
    result = json.dumps({"resultUrls": ["https://cdn.example/a.mp4"]})
    ended = {"code": 200, "data": {"taskId": "t1", "state": "success", "resultJson": result}}
    job = job_for("kling-2-5-turbo-pro", "apixo")
    create, status = (serve(form(json.dumps(said).encode())) for said in (made, ended))

    submission = Apixo(access(outbound, create.url(""))).submit(job, "http://127.0.0.1:9/c")
    outcome = Apixo(access(outbound, status.url(""))).fetch(job)

    assert ("0123456789", "https://cdn.example/a.mp4") == (submission.task_id, outcome.result_url)
    assert (1, 1) == (create.connections, status.connections)


def test_create_and_status_of_segmind(
    form: Form, outbound: Outbound, serve: Serve, tmp_path: Path
) -> None:
    """The same for the other vendor's requests."""
    job = job_for("kling-2.5-turbo", "segmind")
    create = serve(form(b'{"request_id":"r1"}'))
    status = serve(form(b'{"status":"PROCESSING"}'))

    made = Segmind(access(outbound, create.url(""), folder=tmp_path)).submit(job, "")
    found = Segmind(access(outbound, status.url(""), folder=tmp_path)).fetch(job)

    assert ("r1", TaskState.RUNNING) == (made.task_id, found.state)


def test_the_film_as_the_answer(
    form: Form, outbound: Outbound, serve: Serve, tmp_path: Path
) -> None:
    """A call that lasts as long as the generation brings its film, byte for byte."""
    job = job_for("kling-2.5-turbo", "segmind")
    storage = FileStorage(tmp_path)
    vendor = SegmindSync(access(outbound, serve(form(FILM)).url(""), folder=tmp_path))

    outcome = vendor.submit(job, "").outcome

    assert outcome is not None
    assert outcome.result_file is not None
    with storage.open(outcome.result_file) as file:
        assert FILM == file.read()


def test_download(form: Form, outbound: Outbound, serve: Serve, tmp_path: Path) -> None:
    """A finished film is copied, byte for byte."""
    if form in (FORMS["201"], FORMS["202"]):
        pytest.skip("no answer to a GET of a file")

    with opened(tmp_path, "film", NOON) as download:
        download.fetch(outbound, serve(form(FILM)).url("/a.mp4"), 5.0, 2 * len(FILM))
        got = download.path.read_bytes()

    assert FILM == got


def test_hook_and_slack(form: Form, outbound: Outbound, serve: Serve) -> None:
    """What was taken is delivered, and its words are kept for the log."""
    for channel in (Webhook(outbound, 5.0), Slack(outbound, 5.0)):
        server = serve(form(b'{"success":true}'))
        delivery_result = channel.send(delivery_request(server.url("/hook"), frozen(channel)))

        assert '{"success":true}' == delivery_result.response
        assert 1 == len(server.requests)


def test_slack_bot(form: Form, outbound: Outbound, serve: Serve) -> None:
    """A card that was posted is known by its place, so that it is not posted twice."""
    said = {"ok": True, "channel": "C0123ABCD", "ts": "1767268800.000100"}
    server = serve(form(json.dumps(said).encode()))
    bot = SlackBot(outbound, "xoxb-1", 5.0, server.url("/api/"))

    posted = bot.send(delivery_request("C0123ABCD", frozen(bot)))

    assert "C0123ABCD:1767268800.000100:1" == posted.reference
    assert 1 == len(server.requests)


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content"])
@pytest.mark.parametrize("lines", ["", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"])
def test_hook_without_a_body(status: str, lines: str, outbound: Outbound, serve: Serve) -> None:
    """Nothing to say is a yes too."""
    end = b"0\r\n\r\n" if "chunked" in lines else b""
    lines = lines or ("Connection: close\r\n" if status.startswith("205") else "")
    channel = Webhook(outbound, 5.0)
    server = serve(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + end)

    delivery_result = channel.send(delivery_request(server.url("/hook"), frozen(channel)))

    assert (int(status[:3]), "") == (delivery_result.status, delivery_result.response)


NO = [b'{"ok":false}', b'{"success":false,"error":"x"}', b"error", b"<h1>500</h1>", b"\xff\x00"]


@pytest.mark.parametrize("body", NO)
@pytest.mark.parametrize("status", ["200 OK", "202 Accepted"])
def test_words_of_a_hook(status: str, body: bytes, outbound: Outbound, serve: Serve) -> None:
    """Whoever answers 2xx has the event, whatever else is said."""
    for channel in (Webhook(outbound, 5.0), Slack(outbound, 5.0)):
        server = serve(written(status)(body))
        delivery_result = channel.send(delivery_request(server.url("/hook"), frozen(channel)))

        assert int(status[:3]) == delivery_result.status
        assert 1 == len(server.requests)


BROKEN = {
    "cut": "Content-Length: 500\r\n\r\ntak",
    "cut in a chunk": "Transfer-Encoding: chunked\r\n\r\n5\r\nta",
    "no chunk": "Transfer-Encoding: chunked\r\n\r\nta\r\n",
    "no gzip": "Content-Length: 20\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08xxxx",
}


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN)
def test_answer_that_breaks_off(rest: str, outbound: Outbound, serve: Serve) -> None:
    """A hook that said 2xx is not sent the event once more because the rest was lost."""
    said = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{rest}".encode("latin-1")
    for channel in (Webhook(outbound, 5.0), Slack(outbound, 5.0)):
        server = serve(said)
        delivery_result = channel.send(delivery_request(server.url("/hook"), frozen(channel)))

        assert 200 == delivery_result.status
        assert 1 == len(server.requests)


#: How an answer can lack its end though all of its JSON has come: behind the head, and held open.
ENDLESS = {
    "cut": ("Content-Length: 500\r\n\r\n{}", False),
    "held": ("Content-Length: 500\r\n\r\n{}", True),
    "no length": ("\r\n{}", True),
    "no last chunk": ("Transfer-Encoding: chunked\r\n\r\n25\r\n{}\r\n", False),
    "chunk held": ("Transfer-Encoding: chunked\r\n\r\n25\r\n{}\r\n", True),
    "broken chunk": ("Transfer-Encoding: chunked\r\n\r\n25\r\n{}\r\nzz\r\n", False),
}


@pytest.fixture
def serve_part(request: pytest.FixtureRequest) -> Callable[[bytes, bool], Server]:
    """Servers that say these bytes, then hang up or not."""

    def start(data: bytes, held: bool) -> Server:
        def handle(server: Server, conn: socket.socket) -> None:
            server.read(conn)
            conn.sendall(data)
            if held:
                server.stopped.wait(20)

        server = Server(handle)
        request.addfinalizer(server.close)
        return server

    return start


@pytest.mark.parametrize("name", ENDLESS)
def test_create_whose_answer_lacks_its_end(
    name: str, outbound: Outbound, serve_part: Callable[[bytes, bool], Server]
) -> None:
    """A task whose whole name has come is not lost to what does not follow; half a name is none."""
    rest, held = ENDLESS[name]
    job = job_for("kling-2-5-turbo-pro", "apixo")
    made = b'{"code":200,"data":{"taskId":"ab12"}}'
    assert 0x25 == len(made)
    for body in (made, made[:-4] + b"    ", b"data[taskId]=ab12&code=200".ljust(len(made))):
        said = f"HTTP/1.1 200 OK\r\n{rest.format(body.decode())}".encode()
        vendor = Apixo(access(outbound, serve_part(said, held).url(""), seconds=0.5))
        if body == made:
            assert "ab12" == vendor.submit(job, "http://127.0.0.1:9/c").task_id
            continue
        with pytest.raises(Unanswered):
            vendor.submit(job, "http://127.0.0.1:9/c")


@pytest.mark.parametrize("status", ["400 Bad Request", "402 Payment Required"])
def test_refusal_of_a_create_that_breaks_off(
    status: str, outbound: Outbound, serve_part: Callable[[bytes, bool], Server]
) -> None:
    """A no whose words are lost is no certain no: they may have named a task."""
    said = f"HTTP/1.1 {status}\r\nContent-Length: 500\r\n\r\n{{".encode()
    vendor = Apixo(access(outbound, serve_part(said, False).url("")))
    with pytest.raises(Unanswered):
        vendor.submit(job_for("kling-2-5-turbo-pro", "apixo"), "http://127.0.0.1:9/c")


def test_words_that_came_are_kept(
    outbound: Outbound, serve_part: Callable[[bytes, bool], Server]
) -> None:
    """What an answer said before it broke off stands in the log of attempts."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ntaken by 7"
    channel = Webhook(outbound, 0.5)
    target = serve_part(said, True).url("/hook")

    assert "taken by 7" == channel.send(delivery_request(target, frozen(channel))).response


def test_answer_that_never_ends(outbound: Outbound, request: pytest.FixtureRequest) -> None:
    """A hook that says 2xx and then drips words until the time is over has the event."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    release = threading.Event()

    def hang(server: Server, conn: socket.socket) -> None:
        server.read(conn)
        conn.sendall(head + b"tak")
        release.wait(20)

    server = Server(hang)
    request.addfinalizer(server.close)
    request.addfinalizer(release.set)
    channel = Webhook(outbound, 0.5)
    delivery_result = channel.send(delivery_request(server.url("/hook"), frozen(channel)))

    assert 200 == delivery_result.status


def test_refusal_that_breaks_off(outbound: Outbound, serve: Serve) -> None:
    """A no stays one, too."""
    head = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 500\r\n"
    said = head + b"Retry-After: 7\r\n\r\nlat"
    channel = Webhook(outbound, 5.0)
    with pytest.raises(DeliveryError) as caught:
        channel.send(delivery_request(serve(said).url("/hook"), frozen(channel)))

    assert (503, 7.0) == (caught.value.status, caught.value.wait_seconds)


MARKS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"]


@pytest.mark.parametrize("encoding", [*MARKS, "iso-8859-1", "gbk", "shift_jis"])
def test_json_in_other_encodings(encoding: str, outbound: Outbound, serve: Serve) -> None:
    """A byte order mark or an old charset garbles no task id."""
    words = {"iso-8859-1": "é", "gbk": "内容", "shift_jis": "ソ"}.get(encoding, "é 内容")
    body = json.dumps({"code": 200, "message": words, "data": {"taskId": "t9"}}, ensure_ascii=False)
    kind = "" if encoding in MARKS else f"; charset={encoding.upper()}"
    answer = written("200 OK", f"Content-Type: application/json{kind}")(body.encode(encoding))
    vendor = Apixo(access(outbound, serve(answer).url("")))

    assert "t9" == vendor.submit(job_for("kling-2-5-turbo-pro", "apixo"), "").task_id


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=no-such-thing", ";charset="])
def test_json_in_no_encoding(charset: str, outbound: Outbound, serve: Serve) -> None:
    """Bytes that are no text cost the words they stand in, not the refusal's code."""
    body = b'{"code":400,"message":"\xff\xfe bad","data":{"failCode":"PROMPT_TOO_LONG"}}'
    answer = written("400 Bad Request", f"Content-Type: application/json{charset}")(body)
    vendor = Apixo(access(outbound, serve(answer).url("")))

    with pytest.raises(Refused, match="bad") as caught:
        vendor.submit(job_for("kling-2-5-turbo-pro", "apixo"), "")

    assert "PROMPT_TOO_LONG" == caught.value.code
