"""gunicorn as we run it: no signal and no restart costs a callback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.callback_load import CallbackLoad, HalfCallback
from support.processes import children_of
from support.servers import Clipbell, eventually, http_call

from service import store
from service.bootstrap import build
from service.callbacks.ingest import KEPT_PER_JOB
from service.settings import load_settings

ACTIVATED = str(Path(__file__).parents[1] / "support" / "activated.py")


class Site:
    """A service with one job, whose callbacks come at `path`."""

    def __init__(self, clipbell: Clipbell) -> None:
        self.clipbell = clipbell
        self.job_id = ""

    def start(self, *command: str, pass_fds: tuple[int, ...] = ()) -> None:
        """`serve`, or that command instead, until it answers."""
        if command:
            self.clipbell.spawn_fresh("serve", *command, pass_fds=pass_fds)
        else:
            self.clipbell.start_web()
        eventually(self.answers)
        if not self.job_id:
            self.job_id = self.clipbell.submit("A fox")["id"]

    def answers(self, seconds: float = 15.0) -> bool:
        """Whether anybody listens and answers in time."""
        try:
            return 200 == http_call("GET", f"{self.clipbell.url}/healthz", seconds=seconds).status
        except OSError:
            return False

    @property
    def path(self) -> str:
        """A fresh callback URL's path, signed with the newest key."""
        return self.clipbell.callback_path(self.job_id)

    def load(self) -> CallbackLoad:
        """Providers that call back without a pause."""
        return CallbackLoad(self.clipbell.port, self.path)

    def half(self) -> HalfCallback:
        """A callback that is halfway in."""
        return HalfCallback(self.clipbell.port, self.path)

    def kept(self) -> int:
        """How many callbacks there are in the database."""
        wiring = build(load_settings(self.clipbell.environ))
        with wiring.db.read() as tx:
            found = len(store.callbacks.of_job(tx, self.job_id))
        wiring.close()
        return found

    def signal(self, number: int) -> None:
        """A signal to the master alone."""
        os.kill(self.clipbell.pid("serve"), number)

    def reload(self) -> None:
        """SIGHUP, and wait until none of the workers is left."""
        before = set(self.workers())
        self.signal(signal.SIGHUP)
        eventually(lambda: not before & set(self.workers()))

    def workers(self) -> list[int]:
        """The worker processes."""
        return self.clipbell.children("serve")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A service that was set up, with nothing running; at home in an empty folder."""
    with Clipbell(tmp_path / "site", "http://127.0.0.1:9") as clipbell:
        home = tmp_path / "home"
        home.mkdir()
        clipbell.environ |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        yield Site(clipbell)


def test_reload_under_load(site: Site) -> None:
    """SIGHUP replaces the workers while providers call back: each callback is taken and kept."""
    site.start()
    with site.load() as load:
        for _ in range(2):
            load.more(20)
            site.reload()
        load.more(20)

    assert [] == load.failures
    assert min(load.answered, KEPT_PER_JOB) == site.kept()


@pytest.mark.slow
def test_restart_with_a_socket_of_systemd(site: Site) -> None:
    """With the socket in the supervisor's hands a stop and a start cost no callback."""
    with socket.create_server(("127.0.0.1", site.clipbell.port), backlog=512) as listener:
        fd = listener.fileno()
        command = (ACTIVATED, str(fd), "-m", "service", *site.clipbell.serving)
        site.start(*command, pass_fds=(fd,))
        with site.load() as load:
            for _ in range(2):
                load.more(20)
                assert 0 == site.clipbell.stop("serve")
                site.start(*command, pass_fds=(fd,))
            load.more(20)

    assert [] == load.failures
    assert min(load.answered, KEPT_PER_JOB) == site.kept()


@pytest.mark.slow
def test_new_version_takes_over(site: Site) -> None:
    """After SIGUSR2 another master serves on the same socket, and the old one may stop."""
    site.start("-m", "service", *site.clipbell.serving)
    with site.load() as load:
        load.more(20)
        workers = site.workers()
        site.signal(signal.SIGUSR2)
        new = eventually(lambda: set(site.workers()) - set(workers)).pop()
        eventually(lambda: children_of(new))
        load.more(20)
        stopped = site.clipbell.stop("serve")
        load.more(20)
    os.kill(new, signal.SIGTERM)
    eventually(lambda: not site.answers())

    assert (0, []) == (stopped, load.failures)
    assert min(load.answered, KEPT_PER_JOB) == site.kept()


def test_new_key_before_and_after_a_reload(site: Site) -> None:
    """After `secrets rotate` the new key is known at once, and still after SIGHUP."""
    site.start()
    site.clipbell.run("secrets", "rotate")
    before = site.clipbell.call("POST", site.path, b"{}").status
    site.reload()

    assert [200, 200] == [before, site.clipbell.call("POST", site.path, b"{}").status]


def test_reload_with_bad_settings(site: Site) -> None:
    """Where the settings are bad by now, SIGHUP changes nothing and says why."""
    site.start()
    path, keys = site.path, Path(site.clipbell.environ["CLIPBELL_DATA_DIR"]) / "secret_keys"
    keys.write_text("short\n")
    before = site.workers()
    site.signal(signal.SIGHUP)
    eventually(lambda: "not reloaded" in site.clipbell.log("serve"))

    assert before == site.workers()
    assert 200 == site.clipbell.call("POST", path, b"{}").status
    assert str(keys) in site.clipbell.log("serve")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_callback_that_is_halfway_in(site: Site, number: signal.Signals) -> None:
    """A signal to master and workers at once, as Ctrl-C is, lets a callback come in to its end."""
    site.start()
    half, before = site.half(), site.workers()
    os.killpg(site.clipbell.pid("serve"), number)
    stops = number != signal.SIGHUP
    eventually(lambda: not site.answers(0.5) if stops else set(site.workers()) - set(before))

    assert 200 == half.finish()
    assert 1 == site.kept()
    eventually(lambda: site.clipbell.ended("serve") == stops)


@pytest.mark.slow
def test_closed_terminal(site: Site) -> None:
    """A closed terminal stops `serve`; nothing is left that nobody sees."""
    site.start()
    site.clipbell.stop("serve")
    outside, inside = os.openpty()
    command = ["setsid", "--ctty", sys.executable, "-m", "service", *site.clipbell.serving]
    child = subprocess.Popen(
        command, env=site.clipbell.environ, stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    eventually(site.answers)
    half = site.half()
    os.close(outside)
    eventually(lambda: not site.answers(0.5))

    assert 200 == half.finish()
    assert 0 == child.wait(30)


def test_nothing_at_home(site: Site) -> None:
    """No socket and no file of gunicorn's lands in the home or the runtime folder."""
    site.start()

    assert [] == list(Path(site.clipbell.environ["HOME"]).iterdir())


def test_connections_are_shared(site: Site) -> None:
    """Of connections that come while nobody is busy, no process is left without any."""
    site.start("-m", "service", "serve", "--port", str(site.clipbell.port), "--workers", "2")
    # Both are there.
    eventually(lambda: all(shares(site)))

    assert [] == [found for found in (shares(site) for _ in range(10)) if not all(found)]


def shares(site: Site) -> list[int]:
    """How many of sixteen new connections each worker takes."""
    address = "127.0.0.1", site.clipbell.port
    opened = [socket.create_connection(address) for _ in range(16)]
    ports = {one.getsockname()[1] for one in opened}
    accepted = eventually(lambda: inodes(address[1], ports))
    found = [len(accepted & sockets_of(pid)) for pid in site.workers()]
    for one in opened:
        one.close()
    return found


def inodes(port: int, of: set[int]) -> set[str]:
    """The server's ends of connections from those ports; blank until all are accepted."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = {row[9]: [int(row[n].rpartition(":")[2], 16) for n in (1, 2)] for row in rows}
    found = {inode for inode, (own, peer) in ends.items() if own == port and peer in of}
    return found if len(found - {"0"}) == len(of) else set()


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        # Some are closed while we look.
        with suppress(OSError):
            links.append(os.readlink(link))
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
