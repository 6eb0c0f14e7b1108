"""Whether the process answers does not depend on how busy its threads are."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support.servers import Clipbell, eventually, http_call

#: More than there are threads.
CROWD = 24
SLOW_BODY = b"POST /callbacks/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
SLOW_HEADERS = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LIMIT = 1.0


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A web process alone."""
    below = {"public_url": "http://127.0.0.1:9/clips"}
    with Clipbell(tmp_path_factory.mktemp("web"), "http://127.0.0.1:9", **below) as made:
        made.start_web()
        eventually(made.answers)
        yield made


@pytest.mark.parametrize("said", [SLOW_BODY, SLOW_HEADERS, b""], ids=["body", "headers", "silent"])
def test_healthz_while_every_thread_is_busy(web: Clipbell, said: bytes) -> None:
    """Callers that are slow to say what they want keep the others waiting, but not this one."""
    with ExitStack() as stack:
        for _ in range(CROWD):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            caller.sendall(said)
        paths = ("/healthz", "/clips/healthz") * 5
        times = [_seconds(web, method, path) for method in ("GET", "HEAD") for path in paths]

    assert max(times) < LIMIT
    eventually(lambda: http_call("GET", f"{web.url}/openapi.json").status == 200)


def test_healthz_while_every_thread_waits_for_the_database(web: Clipbell) -> None:
    """Requests that wait for a writer's turn hold the threads, but not this answer."""
    path = Path(web.environ["CLIPBELL_DATA_DIR"]) / "clipbell.db"
    with closing(sqlite3.connect(path)) as writer, ThreadPoolExecutor(CROWD) as crowd:
        writer.execute("BEGIN IMMEDIATE")
        body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": "A fox"}}
        for _ in range(CROWD):
            crowd.submit(web.call, "POST", "/v1/jobs", body)
        eventually(lambda: _is_busy(web))
        times = [_seconds(web, "GET", "/healthz") for _ in range(5)]
        writer.rollback()

    assert max(times) < LIMIT


def _is_busy(web: Clipbell) -> bool:
    """Whether a request finds no free thread for a while."""
    try:
        return http_call("GET", f"{web.url}/openapi.json", seconds=0.5).status != 200
    except OSError:
        return True


def _seconds(web: Clipbell, method: str, path: str) -> float:
    began = time.monotonic()
    assert 200 == http_call(method, f"{web.url}{path}").status
    return time.monotonic() - began


def test_kept_alive(web: Clipbell) -> None:
    """A probe that keeps its connection is answered on it each time, and so is what follows."""
    with socket.create_connection(("127.0.0.1", web.port), 10) as caller:
        for path in (b"/healthz", b"/openapi.json", b"/healthz"):
            caller.sendall(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200" == caller.recv(65536)[:12]
