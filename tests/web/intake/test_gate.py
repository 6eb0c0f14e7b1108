"""Requests are judged by their heads: before a body is read, and by other threads than the rest."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from support.servers import Clipbell, eventually, http_call

from service.model import utc_now
from service.settings import load_settings
from service.signing import UrlSigner

CHUNKED = "Transfer-Encoding: chunked"
MALFORMED = b"zz\r\nabc\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A web process alone."""
    with Clipbell(tmp_path_factory.mktemp("web"), "http://127.0.0.1:9") as made:
        made.start_web()
        eventually(made.answers)
        yield made


@pytest.fixture(scope="module")
def path(web: Clipbell) -> str:
    """The path of a callback URL."""
    return signed(web, web.submit("A fox")["id"], days=1)


def signed(web: Clipbell, job_id: str, days: float) -> str:
    """The path of a job's callback URL that ends after so many days."""
    signer = UrlSigner(load_settings(web.environ).keys(), "callback", "/callbacks")
    return signer.url_for(utc_now() + timedelta(days=days), job=job_id, provider="apixo")


def head(method: str, path: str, *headers: str) -> bytes:
    """A request without its body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def heard(web: Clipbell, said: bytes) -> str:
    """The status of the answer to those bytes; nothing more is sent."""
    with socket.create_connection(("127.0.0.1", web.port), 8) as caller:
        caller.sendall(said)
        return caller.recv(1000).decode().partition("\r\n")[0].removeprefix("HTTP/1.1 ")[:3]


@pytest.mark.parametrize("length", ["Content-Length: 1000", CHUNKED, "Content-Length: 99999999"])
def test_token_is_verified_before_the_body(web: Clipbell, path: str, length: str) -> None:
    """A bad or expired token is refused while the body is still to come."""
    bad = [
        heard(web, head("POST", f"{path}x", length)),
        heard(web, head("POST", f"/{path}x", length)),
        heard(web, head("PUT", "/callbacks/x", length)),
    ]

    assert ["401", "401", "405"] == bad
    assert "410" == heard(web, head("POST", signed(web, "job_x", days=-1), length))


@pytest.mark.parametrize("start", ["", "/"])
def test_form_beside_callback_urls(web: Clipbell, start: str) -> None:
    """The dashboard's form below the same address is read as other forms are."""
    here = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    answers = [
        http_call("POST", f"{web.url}{page}", b"csrf_token=x" * 1000, here)
        for page in (f"{start}/callbacks/cbk_1/replay", f"{start}/deliveries/dlv_1/resend")
    ]

    assert [303, 303] == [answer.status for answer in answers]


def test_body_of_a_callback_is_bounded(web: Clipbell, path: str) -> None:
    """One that says it is too large is refused before it is read, and counted."""
    before = rejected(web, "too_large")

    assert "413" == heard(web, head("POST", path, "Content-Length: 1048577"))
    assert eventually(lambda: rejected(web, "too_large") == before + 1)


def rejected(web: Clipbell, reason: str) -> int:
    """How many callbacks were refused for that."""
    counts: dict[str, int] = web.call("GET", "/v1/callbacks?rejected=true").json()["counts"]
    return counts.get(reason, 0)


@pytest.mark.parametrize("large", ["Content-Length: 9000000", "Content-Length: 99000000"])
def test_key_is_verified_before_a_large_body(web: Clipbell, large: str) -> None:
    """Only who is known may send many megabytes: others are refused by their head."""
    json = "Content-Type: application/json"

    assert "401" == heard(web, head("POST", "/v1/jobs", large, json))
    assert "401" == heard(web, head("POST", "/v1/jobs", large, json, "x-api-key: clb_no"))
    assert "303" == heard(web, head("POST", "/new", large, "Cookie: clipbell_session=no"))
    assert "403" == heard(web, head("POST", "/login", large))


def test_known_caller_sends_a_large_body(web: Clipbell) -> None:
    """With a key it is read to its end, asked for with 100 where the caller waits for that."""
    body = b'{"model": "' + b"x" * 9_000_000 + b'"}'
    key = f"x-api-key: {web.key}"
    length = f"Content-Length: {len(body)}"
    json = "Content-Type: application/json"
    with socket.create_connection(("127.0.0.1", web.port), 20) as caller:
        caller.sendall(head("POST", "/v1/jobs", key, length, json, "Expect: 100-continue"))
        asked = caller.recv(1000)
        caller.sendall(body)
        answer = caller.recv(1000)

    assert b"HTTP/1.1 100 Continue\r\n\r\n" == asked
    assert b"HTTP/1.1 422" == answer[:12]


@pytest.mark.parametrize("chunks", [MALFORMED, b"3\r\nabcd\r\n", b"-1\r\n", b"\r\n", b"3;\r\n" * 9])
def test_malformed_chunk(web: Clipbell, path: str, chunks: bytes) -> None:
    """A malformed chunk is a 400, on every kind of address, and never a 500."""
    known = f"x-api-key: {web.key}"
    said = [
        head("POST", path, CHUNKED),
        head("POST", "/login", CHUNKED, "Sec-Fetch-Site: same-origin"),
        head("POST", "/v1/jobs", CHUNKED, "Content-Type: application/json", known),
        head("POST", "/v1/jobs", CHUNKED, "Content-Type: application/json"),
    ]

    assert ["400"] * 4 == [heard(web, one + chunks) for one in said]
    assert "401" == heard(web, head("POST", "/callbacks/x", CHUNKED) + chunks)
    assert "Traceback" not in web.log("serve")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/9", "HTTP/1.1\\r\\nbad header\\r\\nX:"])
def test_no_token_in_the_log(web: Clipbell, path: str, version: str) -> None:
    """Not even gunicorn's own lines about a malformed request hold the token in it."""
    token = path.rpartition("/")[2]
    said = f"POST {path} {version}\r\nHost: x\r\n bad: \r\n\r\n"
    before = len(web.log("serve"))
    heard(web, said.encode().decode("unicode_escape").encode())
    heard(web, f"POST /%63allbacks/{token} HTTP/9\r\nHost: x\r\n\r\n".encode())
    written = eventually(lambda: web.log("serve")[before:])

    assert "Invalid" in written
    assert token not in written and token[:40] not in written


def test_flood_of_bad_tokens(web: Clipbell, path: str) -> None:
    """While strangers send bad tokens without a pause, good callbacks are answered at once."""
    stop = threading.Event()

    def flood() -> int:
        count = 0
        while not stop.is_set():
            http_call("POST", f"{web.url}/callbacks/bad{count}", b"{}")
            count += 1
        return count

    with ThreadPoolExecutor(12) as pool:
        floods = [pool.submit(flood) for _ in range(12)]
        answers = [web.call("POST", path, b'{"turn": %d}' % turn).status for turn in range(50)]
        stop.set()

    assert {200} == set(answers)
    assert sum(one.result() for one in floods) > 50
