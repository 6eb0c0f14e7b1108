"""`clipbell demo` as a newcomer runs it: what it shows, how it ends, what it says when it can't."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.servers import eventually, http_call

DEMO = [sys.executable, "-m", "service", "demo"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A folder for temporary files that tells the demo's processes from all others."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CLIPBELL_")}
    (tmp_path / "temporary").mkdir()
    return kept | {"TMPDIR": str(tmp_path / "temporary")}


def leftovers(environ: dict[str, str]) -> list[str]:
    """What a demo has left behind: files, and processes with its environment."""
    folder = environ["TMPDIR"]
    found = [str(path) for path in Path(folder).iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def listening(environ: dict[str, str]) -> list[str]:
    """The addresses on which a demo's processes listen, one for each socket."""
    mark, inodes = f"TMPDIR={environ['TMPDIR']}\0".encode(), set[str]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes():
                links = [os.readlink(file) for file in (process / "fd").iterdir()]
                inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    # Of a row: the local address, the state (0A listens), and the socket's inode.
    held = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]
    return ["127.0.0.1" if address == "0100007F" else address for address in held]


def run(
    environ: dict[str, str], *arguments: str, preexec_fn: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """A demo to its end."""
    return subprocess.run(
        [*DEMO, *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=preexec_fn,
    )


@pytest.mark.timeout(150)
@pytest.mark.slow
def test_once(environ: dict[str, str]) -> None:
    """Four jobs, three deliveries each, all checked, exit 0, nothing left behind."""
    done = run(environ, "--once", "--json")
    report = json.loads(done.stdout.splitlines()[-1])

    assert (0, {"jobs", "deliveries", "dashboard", "seconds"}) == (done.returncode, set(report))
    models = {job["model"] for job in report["jobs"] if job["state"] == "succeeded"}
    assert {"kling-2-5-turbo-pro", "kling-2.5-turbo", "kling-text2video", "kling-2"} == models
    delivered = [d["channel"] for d in report["deliveries"] if d["state"] == "delivered"]
    assert dict.fromkeys(("slack", "email", "webhook"), 4) == {
        name: delivered.count(name) for name in delivered
    }
    assert report["seconds"] < 60
    assert [] == leftovers(environ)


@pytest.fixture
def running(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A demo under way; call it for what it has written so far."""
    log = tmp_path / "demo.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            DEMO, env=environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    reader = log.read_text
    reader_with_child: Callable[[], str] = reader
    environ["PID"] = str(child.pid)
    yield reader_with_child
    if child.poll() is None:
        child.kill()
    child.wait()


def interrupt(environ: dict[str, str]) -> int:
    """Ctrl-C, and the exit code that follows."""
    pid = int(environ["PID"])
    os.kill(pid, signal.SIGINT)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.slow
def test_interrupted_at_the_end(environ: dict[str, str], running: Callable[[], str]) -> None:
    """Left open it shows its links and what can go wrong, and Ctrl-C leaves nothing behind."""
    eventually(lambda: "Ctrl-C" in running(), 90)
    url = running().partition("Slack card, mail and hook:")[2].split()[0]
    # Three messages for each of four jobs, a failure, a held job, a hook that is down at first.
    eventually(lambda: int(http_call("GET", f"{url}/count").body) >= 3 * 4 + 1 + 1 + 2, 90)
    page = http_call("GET", f"{url}/").body.decode()
    addresses = listening(environ)
    code = interrupt(environ)

    for words in ("Video failed", "Video on hold", "answered 503", "/poster.jpg"):
        assert words in page

    assert len(addresses) >= 4
    assert {"127.0.0.1"} == set(addresses), "the demo is for this machine alone"
    assert "/login/" in running()
    assert (0, []) == (code, leftovers(environ))
    assert "Traceback" not in running()


def test_interrupted_at_the_start(environ: dict[str, str], running: Callable[[], str]) -> None:
    """Ctrl-C while processes are still coming up leaves nothing either."""
    eventually(lambda: len(leftovers(environ)) > 2, 30)
    code = interrupt(environ)

    assert (0, []) == (code, leftovers(environ))
    assert "Traceback" not in running()


def test_taken_port(environ: dict[str, str]) -> None:
    """A taken port is one line that names it and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(environ, "--once", "--port", str(port))
    lines = done.stderr.strip().splitlines()

    assert (1, 1) == (done.returncode, len(lines))
    assert str(port) in lines[0]
    assert "--port" in lines[0]
    assert [] == leftovers(environ)


def test_no_place_to_write(environ: dict[str, str]) -> None:
    """Where no file can be written, one line says what to set."""

    def write_nothing() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = run(environ, "--once", preexec_fn=write_nothing)
    lines = done.stderr.strip().splitlines()

    assert (1, 1) == (done.returncode, len(lines))
    assert "TMPDIR" in lines[0]


def test_missing_extra(environ: dict[str, str], tmp_path: Path) -> None:
    """Without the demo's libraries one line says what to install."""
    (tmp_path / "aiosmtpd").mkdir()
    raising = "raise ModuleNotFoundError('no aiosmtpd', name='aiosmtpd')"
    (tmp_path / "aiosmtpd" / "__init__.py").write_text(raising)
    done = run(environ | {"PYTHONPATH": str(tmp_path)}, "--once")
    lines = done.stderr.strip().splitlines()

    assert (1, 1) == (done.returncode, len(lines))
    assert "pip install 'clipbell[demo]'" in lines[0]


def test_old_python() -> None:
    """An old Python is shown which one it takes, in one line."""
    program = "import sys; sys.version_info = (3, 10); import service"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )

    assert (1, 1) == (done.returncode, len(done.stderr.strip().splitlines()))
    assert "3.11" in done.stderr
