"""
Goal 3: Clipbell's receiver, and others that keep or hand on a signed POST.

- A bare Flask hello, which keeps nothing.
- A naive receiver: Flask, the ORM, Celery; see `bench.peers.naive`.
- hookspool, which commits to a SQLite file of its own; its dispatcher is not running.
- Debian's `webhook`, which runs a command per hook and keeps nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from support.servers import eventually, free_port

from bench.deployment import cpu_seconds, database
from bench.figures import Figures
from bench.ingest import (
    CONNECTIONS,
    TREE,
    Server,
    another,
    running,
    running_app,
    running_hello,
    running_receiver,
)
from bench.peers.kit import Kit

KINDS = ("new", "the same again", "forged")
SECRET, OTHER = "c2VjcmV0IG9mIHRoZSBiZW5jaA", "another"
HOOKSPOOL = """
[intake]
listen = "127.0.0.1:{port}"
[bobbins.bench]
bobbin = "hookspool.webhook"
secrets.secret = {{ file = "{folder}/secret" }}
outputs = {{ "*" = "sink" }}
[bobbins.bench.settings]
scheme = "hmac-sha256-hex"
header = "X-Signature"
prefix = "sha256="
key = ["number"]
dedup = "body_sha256"
[destinations.sink]
type = "http"
url = "http://127.0.0.1:9/"
secret = {{ file = "{folder}/secret" }}
allow_insecure = true
"""


@dataclass(frozen=True)
class Receiver:
    """Where a kind of callback goes, by its kind, and how a forged one is answered."""

    of_kind: dict[str, Server]
    refused: bytes = b"401"

    def measure(self, kind: str, callbacks: int) -> Figures:
        """One round."""
        same = another()
        body = (lambda: same) if kind == KINDS[1] else another
        status = self.refused if kind == KINDS[2] else b"200"
        found = self.of_kind[kind].measure(body, callbacks, status)
        return {
            "a second": found.rate,
            "CPU ms": found.cpu,
            "p50 ms": found.p50,
            "p99 ms": found.p99,
        }


def measure(
    kit: Kit, kind_of_database: str, callbacks: int, rounds: int
) -> Iterator[tuple[str, dict[str, list[Figures]]]]:
    """For each kind of callback the rounds of all receivers, which take turns."""
    with ExitStack() as stack:
        receivers = _start_all(kit, kind_of_database, stack)
        for kind in KINDS:
            for receiver in receivers.values():
                receiver.measure(kind, CONNECTIONS * 4)
            found: dict[str, list[Figures]] = {name: [] for name in receivers}
            for _ in range(rounds):
                for name, receiver in receivers.items():
                    found[name].append(receiver.measure(kind, callbacks))
                hello = found["hello"][-1]["a second"]
                for figures in found.values():
                    figures[-1]["of hello"] = figures[-1]["a second"] / hello
            yield kind, found


def _start_all(kit: Kit, kind: str, stack: ExitStack) -> dict[str, Receiver]:
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="clipbell-bench-")))
    hello = stack.enter_context(running_hello())
    ours = stack.enter_context(running_receiver(TREE, stack.enter_context(database(kind))))
    found = {
        "hello": Receiver(dict.fromkeys(KINDS, hello), b"200"),
        "Clipbell": Receiver(dict(zip(KINDS, ours, strict=True))),
    }
    if kit.redis:
        given = stack.enter_context(database(kind))
        broker = stack.enter_context(_running_redis(kit.redis, folder))
        found["Flask, ORM, Celery"] = stack.enter_context(_naive(kit, given, broker, folder))
    if kit.has("hookspool"):
        found["hookspool"] = stack.enter_context(_hookspool(kit, folder))
    if kit.webhook:
        found["webhook"] = stack.enter_context(_webhook(kit.webhook, folder))
    return found


def _signing(secret: str) -> Callable[[bytes], str]:
    def header(body: bytes) -> str:
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return f"X-Signature: sha256={signature}\r\n"

    return header


def _signed(port: int, path: str, used: Callable[[], float]) -> Receiver:
    """A receiver that finds the signature in a header."""
    good = Server(port, [path], used, _signing(SECRET))
    forged = replace(good, headers=_signing(OTHER))
    return Receiver(dict(zip(KINDS, (good, good, forged), strict=True)))


@contextmanager
def _running_redis(program: Path, folder: Path) -> Iterator[str]:
    """A broker of its own, in memory; its URL."""
    socket = folder / "redis.sock"
    command = [str(program), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(socket.exists)
            yield f"redis+socket://{socket}"
        finally:
            process.terminate()


@contextmanager
def _naive(kit: Kit, given: dict[str, str], broker: str, folder: Path) -> Iterator[Receiver]:
    url = given.get("database_url", f"sqlite:///{folder}/naive.db")
    environ = {
        "PEER_DATABASE": url.replace("postgresql:", "postgresql+psycopg:"),
        "PEER_BROKER": broker,
        "PEER_SECRET": SECRET,
    }
    with running_app("bench.peers.naive:app", kit.python, environ) as (port, used):
        yield _signed(port, "/hook", used)


@contextmanager
def _hookspool(kit: Kit, folder: Path) -> Iterator[Receiver]:
    port = free_port()
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "config.toml").write_text(HOOKSPOOL.format(port=port, folder=folder))
    command = [str(kit.python), "-m", "hookspool", "--home", str(folder)]
    for verb in ("check", "migrate"):
        done = subprocess.run([*command, verb], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with (
        (folder / "hookspool.log").open("w") as log,
        running([*command, "intake"], port, {}, log) as pid,
    ):
        yield _signed(port, "/hooks/bench", lambda: cpu_seconds(pid))


@contextmanager
def _webhook(program: Path, folder: Path) -> Iterator[Receiver]:
    port, file = free_port(), folder / "hooks.json"
    file.write_text(json.dumps([_webhook_rule()]))
    command = [str(program), "-hooks", str(file), "-ip", "127.0.0.1", "-port", str(port)]
    with running(command, port, {}) as pid:
        yield _signed(port, "/hooks/bench", lambda: cpu_seconds(pid, with_ended=True))


def _webhook_rule() -> dict[str, object]:
    signature = {"source": "header", "name": "X-Signature"}
    match = {"type": "payload-hmac-sha256", "secret": SECRET, "parameter": signature}
    return {
        "id": "bench",
        "execute-command": "/bin/true",
        # Only below an `or` is a wrong signature a rule that does not match, not an error.
        "trigger-rule": {"or": [{"match": match}]},
        "trigger-rule-mismatch-http-response-code": 401,
        "trigger-signature-soft-failures": True,
    }
