"""
Clipbell as it is really run: gunicorn and worker as processes, for tests that kill them.

`Clipbell` owns a data folder and its processes; `Hook` is a subscriber that
keeps what it gets.
"""

from __future__ import annotations

import atexit
import copy
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from service.accounts import SCOPES
from service.model import utc_now
from service.settings import child_environ, load_settings
from service.signing import UrlSigner
from support.processes import Process, run_verb
from support.serving import QuietHandler, Served

T = TypeVar("T")

#: A process of Celery's pool may wait 30 s at its end for a message that never comes (billiard).
END_SECONDS = 45.0
PATIENCE = 40.0
#: Linux gives outgoing connections those from 32768 on.
LISTENING_PORTS = (10_000, 32_000)


def eventually(question: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true answer to a question; fails with the last one at the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last answer: {answer!r}")
        pause.wait(0.05)


def free_port() -> int:
    """A port that nobody listens on, and that the system gives no outgoing connection."""
    while True:
        port = random.SystemRandom().randrange(*LISTENING_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port


@dataclass
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """A redirect is an answer like any other."""


def http_call(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = 15.0,
) -> Reply:
    """One request, without following redirects."""
    opener = urllib.request.build_opener(_Straight, urllib.request.ProxyHandler({}))
    assert url.startswith("http://")
    request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310
    try:
        with opener.open(request, timeout=seconds) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers), error.read())


class Clipbell:
    """
    A service in a folder of its own.

    `settings` are names without the prefix, in lower case; the sandbox at
    `provider_url` stands for both vendors.
    """

    def __init__(self, folder: Path, provider_url: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {
            "data_dir": str(folder / "data"),
            "public_url": self.url,
            "apixo_api_key": "test",
            "apixo_base_url": provider_url,
            "segmind_api_key": "test",
            "segmind_base_url": provider_url,
            "allowed_networks": "127.0.0.0/8",
            "log_format": "json",
        } | settings
        self.environ = child_environ(given)
        self._children: dict[str, Process | subprocess.Popen[bytes]] = {}
        self.key = ""
        self.webhook_secret = ""

    def __enter__(self) -> Self:
        """Set up as `clipbell init` does; without a database of its own, a copy will do."""
        if self.environ.keys() & {"CLIPBELL_DATABASE_URL", "CLIPBELL_SECRET_KEYS"}:
            made = self._init()
        else:
            data, made = _prepared()
            shutil.copytree(data, self.folder / "data", dirs_exist_ok=True)
        self.key, self.webhook_secret = made["api_key"], made["webhook_secret"]
        return self

    def _init(self) -> dict[str, str]:
        made: dict[str, str] = json.loads(self.run("init", "--json").stdout)
        return made

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.wait(END_SECONDS)

    def as_account(self, name: str) -> Self:
        """The same service and processes, seen by a new account with all scopes."""
        other = copy.copy(self)
        account = json.loads(self.run("accounts", "create", name, "--json").stdout)
        scopes = [word for scope in SCOPES for word in ("--scope", scope)]
        key = self.run("keys", "create", "--account", name, *scopes, "--json").stdout
        other.key, other.webhook_secret = json.loads(key)["api_key"], account["webhook_secret"]
        return other

    def start(self) -> Clipbell:
        """Web and worker, ready for jobs."""
        self.start_web()
        self.start_worker()
        eventually(lambda: self._ready())
        return self

    def start_web(self) -> None:
        """gunicorn with one worker process."""
        self.spawn("serve", "service", *self.serving)

    def answers(self) -> bool:
        """Whether the web process does."""
        try:
            return http_call("GET", f"{self.url}/healthz").status == 200
        except OSError:
            return False

    @property
    def serving(self) -> tuple[str, ...]:
        """The verb `serve` with its options."""
        return ("serve", "--port", str(self.port), "--workers", "1")

    def start_worker(self) -> None:
        """The worker process."""
        self.spawn("worker", "service", "worker")

    def start_later_worker(self, seconds: float = 60) -> None:
        """A worker that lives so much later: the leases of one that died have ended."""
        self.spawn("worker", "support.later", str(seconds))

    def ended(self, verb: str) -> bool:
        """Whether a process that was started has ended by itself."""
        return self._children[verb].poll() is not None

    def kill(self, verb: str) -> None:
        """SIGKILL to a process and all its children."""
        child = self._children.pop(verb)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(20)

    def stop(self, verb: str, seconds: float = 30) -> int:
        """SIGTERM to a process; its exit code."""
        child = self._children.pop(verb)
        child.terminate()
        return child.wait(seconds)

    def pid(self, verb: str) -> int:
        """The process of a verb."""
        return self._children[verb].pid

    def children(self, verb: str) -> list[int]:
        """The processes that a process of ours has started."""
        pid = self._children[verb].pid
        lists = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(one) for listed in lists for one in listed.read_text().split()]

    def log(self, verb: str) -> str:
        """All that a process wrote so far."""
        path = self.folder / f"{verb}.log"
        return path.read_text() if path.exists() else ""

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One verb to its end, with the expected exit code."""
        done = run_verb(arguments, self.environ)
        assert code == done.returncode, done.stderr
        return done

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request with our key; a body that is not bytes goes as JSON."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"x-api-key": self.key, "Content-Type": "application/json"} | (headers or {})
        url = path if path.startswith("http") else self.url + path
        return http_call(method, url, raw, given)

    def callback_path(self, job_id: str) -> str:
        """Where a provider would call back about the job: signed with the newest key."""
        signer = UrlSigner(load_settings(self.environ).keys(), "callback", "/callbacks")
        return signer.url_for(utc_now() + timedelta(days=1), job=job_id, provider="apixo")

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the API shows it."""
        found: dict[str, Any] = self.call("GET", f"/v1/jobs/{job_id}").json()
        return found

    def submit(self, prompt: str, **more: Any) -> dict[str, Any]:
        """A job for the first model; the answer's JSON."""
        body = {"model": "kling-2-5-turbo-pro", "input": {"prompt": prompt}} | more
        made = self.call("POST", "/v1/jobs", body)
        assert 202 == made.status, made.body
        job: dict[str, Any] = made.json()
        return job

    def await_state(self, job_id: str, *states: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The job once it is in one of those states."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["state"] in states else None

        found = eventually(look, seconds)
        assert found is not None
        return found

    def _ready(self) -> bool:
        return self.status_of("/readyz") == 200

    def status_of(self, path: str) -> int:
        """What a GET there is answered; 0 where nobody answers."""
        try:
            return http_call("GET", self.url + path).status
        except OSError:
            return 0

    def spawn(self, verb: str, module: str, *arguments: str) -> None:
        """`python -m MODULE ARGUMENT …`, in the place of a verb's process."""
        log = self.folder / f"{verb}.log"
        self._children[verb] = Process(module, arguments, self.environ, log, log)

    def spawn_fresh(
        self,
        verb: str,
        *command: str,
        pass_fds: tuple[int, ...] = (),
        on: Sequence[str] = (),
    ) -> None:
        """
        That command instead, not as a fork: for a process that starts itself again.

        Args:
            on: what the command begins with that is to run on another host.
        """
        with (self.folder / f"{verb}.log").open("ab") as log:
            self._children[verb] = subprocess.Popen(
                [*on, sys.executable, *command],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
            )


@cache
def _prepared() -> tuple[Path, dict[str, str]]:
    """A data folder to copy, made once per process, and what `clipbell init` printed."""
    folder = Path(tempfile.mkdtemp(prefix="clipbell-prepared-"))
    atexit.register(shutil.rmtree, folder)
    return folder / "data", Clipbell(folder, "http://127.0.0.1:9")._init()


@dataclass
class Hit:
    """One POST that a hook got."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass
class Hook(Served):
    """
    A subscriber: answers each POST with the next of `answers`, then with the last.

    An answer is a status, or a status with headers; each has the body `said`.
    """

    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=lambda: [200])
    hits: list[Hit] = field(default_factory=list)
    url: str = ""
    said: bytes = b""

    def __post_init__(self) -> None:
        hook = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                answer = hook.answers[min(len(hook.hits), len(hook.answers) - 1)]
                status, extra = answer if isinstance(answer, tuple) else (answer, {})
                hook.hits.append(Hit(self.path, dict(self.headers), body))
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(hook.said)))
                self.end_headers()
                self.wfile.write(hook.said)

        self.serve(Handler)
        self.url = f"{self.origin}/hook"
