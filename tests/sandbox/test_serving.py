"""Servers of one app, as the sandbox and its sinks are run."""

from __future__ import annotations

import pytest
from flask import Flask
from support.servers import http_call

from service.sandbox.serving import AppServer


def app() -> Flask:
    """An app with one page."""
    made = Flask(__name__)
    made.add_url_rule("/", "index", lambda: "here")
    return made


def test_from_start_to_end() -> None:
    """It answers on a port of its own until its block ends, and on none afterwards."""
    with AppServer(app(), "127.0.0.1", 0) as server:
        answer = http_call("GET", f"{server.url}/")

    assert (200, b"here") == (answer.status, answer.body)
    with pytest.raises(OSError):
        http_call("GET", f"{server.url}/")


def test_never_started() -> None:
    """One that was never started lets go of its port."""
    first = AppServer(app(), "127.0.0.1", 0)
    first.close()
    port = int(first.url.rpartition(":")[2])

    AppServer(app(), "127.0.0.1", port).close()
