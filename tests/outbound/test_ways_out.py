"""
The outbound proof: nothing that a user or a vendor can steer leaves but by the guarded client.

First by the text: which file imports what could dial. Then by the act: web and worker run
with a hook of Python's own at each connect, and everything that can be steered is steered.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.processes import Process
from support.raw_servers import Server, always, answer
from support.sandboxes import png, start_sandbox
from support.servers import Clipbell, Hook, Reply, eventually
from support.watched import Connect, connects

from service.sandbox.sinks.pages import SinkServer
from service.settings import child_environ

SERVICE = Path(__file__).parents[2] / "service"
#: Whatever can open a connection, start a program that does, or load a library by its name.
CAN_DIAL = {
    *("socket", "ssl", "socketserver", "selectors", "asyncio", "http.client", "http.server"),
    *("urllib.request", "xmlrpc", "ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "nntplib"),
    *("requests", "urllib3", "httpx", "httpcore", "aiohttp", "pycurl", "websockets", "websocket"),
    *("paramiko", "dns", "boto3", "botocore", "obstore", "psycopg", "slack_sdk", "apprise"),
    *("celery", "kombu", "amqp", "redis", "gevent", "trio", "anyio", "eventlet", "mcp"),
    *("subprocess", "multiprocessing", "pty", "ctypes", "cffi", "runpy", "importlib"),
}
ALLOWED = {
    "socket": {
        "outbound/client.py": "the guarded client",
        "outbound/transport.py": "the guarded client",
        "cli/listen.py": "takes connections on the developer's machine",
        "ops/processes.py": "asks whether a port of this machine is free",
        "ops/upkeep.py": "the machine's own name",
        "store/bell.py": "datagrams to sockets in DATA_DIR",
        "web/intake/worker.py": "takes connections, makes none",
        "web/repeats.py": "a flag for reading",
    },
    "ssl": {
        "outbound/client.py": "the guarded client",
        "outbound/transport.py": "the guarded client",
        "channels/email.py": "the operator's mail server",
        "channels/smtp.py": "the operator's mail server",
    },
    "http.client": {
        "outbound/client.py": "the guarded client",
        "outbound/response_head.py": "an exception",
        "outbound/transport.py": "the guarded client",
    },
    "http.server": {"cli/listen.py": "takes connections on the developer's machine"},
    "requests": {"outbound/client.py": "the guarded client"},
    "urllib3": {
        "outbound/client.py": "the guarded client",
        "outbound/forms.py": "encodes forms, dials nobody",
        "outbound/transport.py": "the guarded client",
    },
    "smtplib": {"channels/smtp.py": "the operator's mail server; a user gives an address only"},
    "apprise": {"channels/apprise.py": "targets that only an operator may give"},
    "obstore": {"storage/s3.py": "the operator's storage; keys are our own ids"},
    "psycopg": {
        "store/postgres.py": "the operator's database",
        "store/postgres_bell.py": "the operator's database",
    },
    "celery": {
        "engines/celery.py": "the operator's broker",
        "engines/hints.py": "the operator's broker",
    },
    "kombu": {
        "engines/celery.py": "the operator's broker",
        "engines/hints.py": "the operator's broker",
        "ops/broker.py": "the operator's broker",
    },
    "selectors": {"web/intake/worker.py": "takes connections, makes none"},
    "subprocess": {
        "engines/celery.py": "our own upkeep process",
        "media/decoding.py": "our own decoder, which reads one file",
        "ops/processes.py": "our own web and worker",
    },
    "importlib": {
        "bootstrap.py": "asks whether an extra is installed",
        "catalogue/models.py": "our own files of a folder",
        "channels/registry.py": "our own file of mail, when it is set up",
        "cli/ask.py": "our own client, when a verb goes to another machine",
        "cli/lazy.py": "our own file of a verb",
        "cli/worker.py": "our own engine",
        "media/probe.py": "asks whether an extra is installed",
        "providers/__init__.py": "our own files of a folder",
    },
}


def dialers(text: str) -> set[str]:
    """The modules of `CAN_DIAL` that a file imports, whatever it calls them."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Name) and node.id in ("__import__", "eval", "exec"):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in (
            "system",
            "popen",
            "execv",
            "spawnv",
        ):
            found.add(node.attr)
        found |= {one for one in CAN_DIAL for name in names if f"{name}.".startswith(f"{one}.")}
    return found


def test_what_can_dial_is_imported_by_few() -> None:
    """Each import of what could dial has its file and its reason, and no reason is left over."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in SERVICE.rglob("*.py"):
        # The sandbox plays the vendor, on a machine of its own; no service imports it.
        if "sandbox" not in path.relative_to(SERVICE).parts:
            for name in dialers(path.read_text()):
                found[name].add(str(path.relative_to(SERVICE)))

    assert {name: set(files) for name, files in ALLOWED.items()} == found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import socket as s", {"socket"}),
        ("from socket import create_connection as dial", {"socket"}),
        ("from http import client", {"http.client"}),
        ("from urllib import request", {"urllib.request"}),
        ("def f():\n    import urllib3.util", {"urllib3"}),
        ("__import__('requests').get('http://a')", {"__import__"}),
        ("import importlib; importlib.import_module('httpx')", {"importlib"}),
        ("import os; os.system('curl http://a')", {"system"}),
        ("from urllib.parse import urlsplit\nfrom http import HTTPStatus", set()),
    ],
)
def test_planted_import_is_found(line: str, expected: set[str]) -> None:
    """The first proof can fail: each of these is seen, by whatever name it goes."""
    assert expected == dialers(line)


def unguarded(log: Path, *settings: int) -> list[Connect]:
    """The connects that the guard did not make, but for those to the ports of settings."""
    return [one for one in connects(log) if not one.guarded and one.port not in settings]


def test_planted_bypass_is_found(tmp_path: Path) -> None:
    """The second proof can fail: of two calls, the one that goes round the guard is named."""
    log, out = tmp_path / "connects", tmp_path / "out"
    with closing(Server(always(answer(b"hello")))) as server:
        order = (str(log), "support.bypass", str(server.port))
        code = Process("support.watched", order, child_environ({}), out, out, 20).wait(20)

    assert 0 == code, out.read_text()
    assert [True, False] == [one.guarded for one in connects(log)]
    assert [True] == [one.by.endswith("support/bypass.py") for one in unguarded(log)]


def port_of(url: str) -> int:
    """The port in a URL that names one."""
    return urlsplit(url).port or 0


def webhook(target: str) -> dict[str, str]:
    """A subscription, as the API takes it."""
    return {"channel": "webhook", "target": target}


def steer_elsewhere(clipbell: Clipbell) -> list[Reply]:
    """Name an address that is not allowed wherever one can be named; what was answered."""
    url = "http://127.0.0.2:9/a.png"
    prompt = {"prompt": "A fox"}
    job = {"model": "kling-2-5-turbo-pro", "input": prompt}
    image = prompt | {"mode": "image-to-video", "image_urls": [url]}
    order: dict[str, Any] = {
        "request_type": "callback",
        "callback_url": url,
        "input": {"mode": "text-to-video"},
    }
    order["input"] |= prompt | {"duration": 5}
    failing = clipbell.submit("x", input=image)
    clipbell.await_state(failing["id"], "failed")
    return [
        clipbell.call("POST", "/v1/subscriptions", webhook(url)),
        clipbell.call("POST", "/v1/subscriptions", {"channel": "slack", "target": url}),
        clipbell.call("POST", "/v1/hooks", {"target_url": url, "event": "job.succeeded"}),
        clipbell.call("POST", "/v1/jobs", job | {"notify": [f"webhook:{url}"]}),
        clipbell.call("POST", "/api/v1/generateTask/kling-2-5-turbo-pro", order),
    ]


@pytest.fixture
def sinks() -> Iterator[SinkServer]:
    """Slack and a mailbox."""
    with SinkServer() as server:
        yield server


@pytest.fixture
def image() -> Iterator[Server]:
    """An image of a user's."""
    server = Server(always(answer(png("red"), "200 OK", "Content-Type: image/png")))
    yield server
    server.close()


def test_every_connect_of_web_and_worker(tmp_path: Path, sinks: SinkServer, image: Server) -> None:
    """
    Hook, callback_url, Slack, mail, image, create, poll and film: all by the guard but the mail.

    And of what lies outside `ALLOWED_NETWORKS` nothing is dialled at all.
    """
    log = tmp_path / "connects"
    given = {
        "allowed_networks": "127.0.0.1/32",
        "smtp_url": sinks.smtp_url,
        "mail_from": "clips@example.com",
        "poll_after": "0.2",
        "poll_every": "0.2",
    }
    mail_port = port_of(sinks.smtp_url)
    with (
        start_sandbox(tmp_path / "provider", credits=1e6) as provider,
        Clipbell(tmp_path, provider.url, **given) as clipbell,
        Hook() as hook,
    ):
        clipbell.spawn("serve", "support.watched", str(log), "service", *clipbell.serving)
        clipbell.spawn("worker", "support.watched", str(log), "service", "worker")
        eventually(clipbell.answers)
        targets = [f"webhook:{hook.url}", f"slack:{sinks.slack_url}", "email:a@example.com"]
        wanted = {"mode": "image-to-video", "image_urls": [image.url("/a.png")]}
        job = clipbell.submit("x", input={"prompt": "A fox", **wanted}, notify=targets)
        clipbell.await_state(job["id"], "succeeded")
        eventually(lambda: hook.hits and len(sinks.received()) >= 2)
        eventually(lambda: clipbell.job(job["id"])["video"]["sha256"])
        subscribed = clipbell.call("POST", "/v1/subscriptions", webhook(hook.url)).json()
        tried = clipbell.call("POST", f"/v1/subscriptions/{subscribed['id']}/test")
        refused = steer_elsewhere(clipbell)

    seen = {one.port for one in connects(log) if one.guarded}
    assert 200 == tried.status, tried.body
    assert [] == unguarded(log, mail_port)
    assert {port_of(url) for url in (hook.url, sinks.url, image.url(), provider.url)} <= seen
    assert mail_port not in seen
    assert {"127.0.0.1"} == {one.host for one in connects(log)}
    assert [] == [answer for answer in refused if answer.status not in (400, 422)]
