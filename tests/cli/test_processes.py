"""`worker` and `up`: no signal cuts a request that creates a task, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.sandboxes import SandboxClient
from support.servers import Clipbell, eventually, http_call
from support.slow_vendor import SlowVendor
from support.terminals import Terminal


@pytest.fixture
def vendor() -> Iterator[SlowVendor]:
    """The vendor, at its origin."""
    with SlowVendor() as made:
        yield made


@pytest.fixture
def clipbell(vendor: SlowVendor, tmp_path: Path) -> Iterator[Clipbell]:
    """A service over it, with nothing running."""
    with Clipbell(tmp_path, vendor.origin) as made:
        yield made


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


def submit(clipbell: Clipbell) -> str:
    """The id of a new job."""
    model = ("submit", "kling-2-5-turbo-pro", "--prompt", "A fox", "--json")
    return str(json.loads(clipbell.run(*model).stdout)["id"])


def job(clipbell: Clipbell, job_id: str) -> tuple[str, str]:
    """The job's state and task."""
    shown = json.loads(clipbell.run("show", job_id, "--json").stdout)
    return shown["state"], shown["task_id"]


@pytest.mark.parametrize("numbers", [(TERM,), (INT,), (HUP,), (INT, INT), (HUP, TERM, INT)])
def test_signal_during_a_create(
    clipbell: Clipbell, vendor: SlowVendor, numbers: tuple[signal.Signals, ...]
) -> None:
    """However often it is asked to stop, the worker writes down the answer first, then ends."""
    job_id = submit(clipbell)
    clipbell.start_worker()
    eventually(vendor.asked.is_set)
    for number in numbers:
        os.killpg(clipbell.pid("worker"), number)
    eventually(lambda: "stopping" in clipbell.log("worker"))
    running = not clipbell.ended("worker")
    vendor.gate.set()
    code = clipbell.stop("worker")

    assert (True, 0) == (running, code), clipbell.log("worker")
    assert ("submitted", "task1") == job(clipbell, job_id)


def start_up(clipbell: Clipbell) -> dict[str, str]:
    """Start `up` without a PUBLIC_URL; what it prints."""
    clipbell.environ.pop("CLIPBELL_PUBLIC_URL")
    clipbell.spawn("up", "service", "up", "--port", str(clipbell.port), "--json")
    lines = eventually(lambda: re.findall(r'^{"url".*', clipbell.log("up"), re.M))
    printed: dict[str, str] = json.loads(lines[0])
    return printed


def test_up(tmp_path: Path, sandbox: SandboxClient) -> None:
    """One command serves and works at the address it prints, and lets its reader in."""
    with Clipbell(tmp_path, sandbox.server.url) as clipbell:
        printed = start_up(clipbell)
        signed_in = http_call("GET", printed["login_url"])
        job_id = clipbell.submit("A fox")["id"]
        video = clipbell.await_state(job_id, "succeeded")["video"]
        children = clipbell.children("up")
        code = clipbell.stop("up")

    assert (clipbell.url, clipbell.url) == (printed["url"], printed["local_url"])
    assert (303, "/") == (signed_in.status, signed_in.headers["Location"])
    assert video["url"].startswith(f"{clipbell.url}/v/")
    assert (0, 2, []) == (code, len(children), [pid for pid in children if is_alive(pid)])


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_up_during_a_create(clipbell: Clipbell, vendor: SlowVendor) -> None:
    """Ctrl-C, pressed twice, leaves nothing running and no create without its answer."""
    job_id = submit(clipbell)
    start_up(clipbell)
    eventually(vendor.asked.is_set)
    children = clipbell.children("up")
    for _ in range(2):
        os.killpg(clipbell.pid("up"), INT)
        eventually(lambda: "stopping" in clipbell.log("up"))
    vendor.gate.set()
    code = clipbell.stop("up")

    assert ("submitted", "task1") == job(clipbell, job_id)
    assert (0, []) == (code, [pid for pid in children if is_alive(pid)])


@pytest.mark.slow
def test_up_without_its_worker(clipbell: Clipbell) -> None:
    """When one of the two ends, so does the other: a supervisor can start both again."""
    start_up(clipbell)
    children = clipbell.children("up")
    os.kill(children[1], signal.SIGKILL)
    eventually(lambda: clipbell.ended("up"))

    assert 1 == clipbell.stop("up")
    assert "`clipbell worker` ended by itself" in clipbell.log("up")
    assert [] == [pid for pid in children if is_alive(pid)]


@pytest.mark.slow
def test_up_on_a_terminal(clipbell: Clipbell) -> None:
    """A person gets a link to sign in with; a log file gets none."""
    terminal = Terminal(clipbell.environ, "up", "--port", str(clipbell.port), columns=200)
    terminal.until("keys create")
    terminal.child.send_signal(INT)
    code = terminal.end()
    clipbell.spawn("up", "service", "up", "--port", str(clipbell.port))
    eventually(lambda: "keys create" in clipbell.log("up"))

    assert 0 == code
    assert f"Clipbell is at {clipbell.url}. Ctrl-C" in terminal.shown
    assert 1 == terminal.shown.count("Ctrl-C")
    assert f"Sign in: {clipbell.url}/login/" in terminal.shown
    assert "/login/" not in clipbell.log("up")


def answers(url: str) -> bool:
    """Whether somebody is there by now."""
    with suppress(OSError):
        return 200 == http_call("GET", url).status
    return False


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("::", "127.0.0.1"),
        ("::1", "[::1]"),
    ],
)
def test_serve_says_where_it_is(tmp_path: Path, host: str, shown: str) -> None:
    """Without a PUBLIC_URL, the address to open is the one that it listens at."""
    with Clipbell(tmp_path, "http://127.0.0.1:9", log_format="console") as clipbell:
        clipbell.environ.pop("CLIPBELL_PUBLIC_URL")
        clipbell.spawn("serve", "service", *clipbell.serving, "--host", host)
        eventually(lambda: "sign in" in clipbell.log("serve"))

        url = f"http://{shown}:{clipbell.port}"
        eventually(lambda: answers(f"{url}/healthz"))
        assert f"Open {url} and sign in" in clipbell.log("serve")


@pytest.mark.parametrize("verb", ["serve", "listen", "sandbox"])
@pytest.mark.parametrize(("host", "shown"), [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[")])
def test_address_of_others(clipbell: Clipbell, verb: str, host: str, shown: str) -> None:
    """An address that is not of this machine is refused in a line that says what to change."""
    report = clipbell.run(verb, "--host", host, "--port", str(clipbell.port), code=1).stderr

    assert f"cannot listen on {shown}" in report and "--host\n" in report


def test_up_on_a_taken_port(clipbell: Clipbell) -> None:
    """A port that somebody else has is named, with the way to choose another."""
    with socket.create_server(("127.0.0.1", clipbell.port)):
        done = clipbell.run("up", "--port", str(clipbell.port), code=1)

    assert f"cannot listen on 127.0.0.1:{clipbell.port}" in done.stderr
    assert "--port" in done.stderr


def test_data_folder_is_private(clipbell: Clipbell) -> None:
    """Whatever the permissions were before, a start leaves the data folder to its owner alone."""
    data = Path(clipbell.environ["CLIPBELL_DATA_DIR"])
    (data / "videos").mkdir(exist_ok=True)
    (data / "videos" / "old.mp4").touch()
    for path in (data, *data.rglob("*")):
        path.chmod(0o777)
    clipbell.start_web()
    eventually(clipbell.answers)
    submit(clipbell)
    modes = {(path.is_dir(), oct(path.stat().st_mode & 0o777)) for path in (data, *data.rglob("*"))}

    assert {(True, "0o700"), (False, "0o600")} == modes
