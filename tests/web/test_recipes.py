"""The recipes on /docs: each file as it stands there, run against a running service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.node import ENVIRON, need_node, npm_install
from support.servers import Clipbell, Hook, Reply, eventually, free_port, http_call

import service.web
from service.signing import new_webhook_secret, webhook_headers

RECIPES = Path(service.web.__file__).with_name("recipes")
PYTHON = sys.executable
#: The file that each is saved as, and how it is started.
SERVERS = {
    "flask.py": ("app.py", [PYTHON, "-m", "flask", "--app", "app", "run", "--port", "{port}"]),
    "fastapi.py": ("app.py", [PYTHON, "-m", "uvicorn", "app:app", "--port", "{port}"]),
    "django.py": ("app.py", [PYTHON, "app.py", "runserver", "--noreload", "{port}"]),
    "express.mjs": ("app.mjs", ["node", "app.mjs"]),
}
SLOW_SERVERS = ("fastapi.py", "django.py", "express.mjs")


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def environ(clipbell: Clipbell) -> dict[str, str]:
    """What every recipe gets."""
    return ENVIRON | {
        "CLIPBELL_URL": clipbell.url,
        "CLIPBELL_KEY": clipbell.key,
        "CLIPBELL_WEBHOOK_SECRET": clipbell.webhook_secret,
    }


@dataclass
class Program:
    """A recipe that runs."""

    url: str
    log: Path

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """One POST to it."""
        return http_call("POST", self.url + path, body, headers)


@pytest.fixture
def program(
    request: pytest.FixtureRequest, clipbell: Clipbell, tmp_path: Path
) -> Iterator[Program]:
    """A recipe, started as its head says."""
    name, command = SERVERS[request.param]
    if name.endswith(".mjs"):
        need_node(20)
        npm_install(tmp_path, "express", "standardwebhooks")
    (tmp_path / name).write_text((RECIPES / f"{request.param}.txt").read_text())
    port = str(free_port())
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    given = environ(clipbell) | {"APP_URL": url, "PORT": port}
    words = [word.replace("{port}", port) for word in command]
    with log.open("wb") as file:
        child = subprocess.Popen(
            words, cwd=tmp_path, env=given, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        eventually(lambda: child.poll() is not None or answers(url))
        assert child.poll() is None, log.read_text()
        yield Program(url, log)
    finally:
        child.terminate()
        child.wait(20)


def answers(url: str) -> bool:
    """Whether anybody is there."""
    try:
        return bool(http_call("GET", f"{url}/").status)
    except OSError:
        return False


@pytest.mark.parametrize(
    "program",
    ["flask.py", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_SERVERS)],
    indirect=True,
)
def test_server(program: Program, clipbell: Clipbell) -> None:
    """It submits once, waits for the end, takes the signed hook and refuses a forged one."""
    json_ = {"Content-Type": "application/json"}
    order = b'{"id": "%s", "prompt": "A fox"}' % program.url.encode()
    made, again = (program.post("/videos", order, json_) for _ in range(2))
    assert (202, made.json()["id"]) == (made.status, again.json()["id"]), made.body
    job_id = made.json()["id"]
    ended = http_call("GET", f"{program.url}/videos/{job_id}", seconds=60).json()

    def attempts() -> list[dict[str, Any]]:
        path = f"/v1/deliveries?job_id={job_id}&state=delivered"
        return [a for d in clipbell.call("GET", path).json()["data"] for a in d["attempts"]]

    assert "succeeded" == ended["state"]
    assert {204} == {attempt["status"] for attempt in eventually(attempts)}
    assert f"job.succeeded {job_id}" in eventually(lambda: program.log.read_text())
    forged = webhook_headers([new_webhook_secret()], "evt_1", datetime.now(UTC), b"{}")
    assert 401 == program.post("/clipbell", b"{}", json_ | forged).status
    assert 401 == program.post("/clipbell", b"{}", json_).status


def test_shell(clipbell: Clipbell, tmp_path: Path) -> None:
    """The shell's one does the same with curl and openssl."""

    def run(*arguments: str, body: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["/bin/sh", RECIPES / "curl.sh.txt", *arguments],
            env=environ(clipbell),
            cwd=tmp_path,
            input=body,
            capture_output=True,
            timeout=90,
            check=False,
        )

    with Hook() as hook:
        made, again = (run("submit", "order-7", "A fox", hook.url) for _ in range(2))
        assert (0, made.stdout) == (made.returncode, again.stdout), made.stderr
        job_id = made.stdout.decode().split('"id": "')[1].partition('"')[0]
        ended = run("wait", job_id)
        assert b'"state": "succeeded"' in ended.stdout, ended.stderr
        hit = eventually(lambda: hook.hits)[0]
    signed = [hit.headers[n] for n in ("webhook-id", "webhook-timestamp", "webhook-signature")]

    assert 0 == run("verify", *signed, body=hit.body).returncode
    assert 1 == run("verify", *signed, body=hit.body + b" ").returncode
    assert 1 == run("verify", signed[0], "1", signed[2], body=hit.body).returncode
    assert 2 == run("sing").returncode
