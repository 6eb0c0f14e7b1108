"""Clipbell as it is measured: processes of a source tree, a database, a peer."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from support.databases import POSTGRES
from support.film import record
from support.servers import Clipbell, Reply, eventually, http_call

from bench.program import running

#: Of a film of five seconds, as small as a vendor's smallest.
FILM = {"width": 1280, "height": 720, "frames": 50}
PATIENCE = 100.0
#: A worker of Celery as its users start one; so many processes work besides the one that leads.
CELERY = ("-A", "service.engines.celery", "worker", "--concurrency", "6")


class Deployment(Clipbell):
    """The service from the source tree `tree`, each process started afresh."""

    def __init__(self, tree: Path, folder: Path, provider_url: str, **settings: str) -> None:
        super().__init__(folder, provider_url, **settings)
        self.environ["PYTHONPATH"] = str(tree)

    def __enter__(self) -> Deployment:
        made = self._init()
        self.key = made["api_key"]
        return self

    def spawn(self, verb: str, module: str, *arguments: str) -> None:
        """`python -m MODULE ARGUMENT …`, not as a fork: what it imports counts too."""
        self.spawn_fresh(verb, "-m", module, *arguments)

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One verb to its end, with the expected exit code."""
        command = [sys.executable, "-m", "service", *arguments]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False
        )
        assert code == done.returncode, done.stderr
        return done

    def start_workers(self, count: int) -> list[str]:
        """So many workers of its engine; what each is called."""
        names = [f"worker-{number}" for number in range(count)]
        for name in names:
            if self.environ.get("CLIPBELL_ENGINE") == "celery":
                self.spawn(name, "celery", *CELERY, "--hostname", f"{name}@%h")
            else:
                self.spawn(name, "service", "worker")
        return names

    def cpu_seconds(self, *verbs: str) -> float:
        """User and system time of processes and all that they have started, so far."""
        pids = [self.pid(verb) for verb in verbs]
        pids += [child for verb in verbs for child in self.children(verb)]
        return sum(cpu_seconds(pid) for pid in pids)


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """User and system time of a process so far; `with_ended` children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = fields[11:15] if with_ended else fields[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Vendor:
    """How the peer behaves, and how large its film is; `film_bytes` 0 takes a small one."""

    create_seconds: float = 0.0
    task_seconds: float = 0.5
    film_bytes: int = 0


class PeerProcess:
    """The peer, running; see `bench.peer`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> Reply:
        """One of its own pages."""
        return http_call("GET", f"{self.url}/{path}", seconds=60)

    def seen(self) -> list[dict[str, Any]]:
        """Every task so far; see `bench.peer.Seen`."""
        found: list[dict[str, Any]] = self.ask("seen").json()
        return found

    def heard(self) -> int:
        """Of how many tasks the hook has come."""
        return int(self.ask("heard").body)


@contextmanager
def running_peer(folder: Path, vendor: Vendor) -> Iterator[PeerProcess]:
    """A peer of its own process."""
    path = folder / "film.mp4"
    film = record(**FILM, flags="+faststart")
    path.write_bytes(film + _padding(vendor.film_bytes - len(film)))
    waits = str(vendor.create_seconds), str(vendor.task_seconds)
    with running("bench.peer", str(path), *waits) as port:
        yield PeerProcess(port)


def _padding(size: int) -> bytes:
    """A box that players skip, of so many bytes; none for fewer than a box has."""
    return size.to_bytes(4, "big") + b"free" + bytes(size - 8) if size > 8 else b""


@contextmanager
def database(kind: str) -> Iterator[dict[str, str]]:
    """The settings that name a database of its own; dropped at the end."""
    if kind == "sqlite":
        yield {}
        return
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield {"database_url": f"{POSTGRES.rpartition('/')[0]}/{name}"}
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def deployed(
    tree: Path, kind: str, vendor: Vendor, workers: int = 1, **more: str
) -> Iterator[tuple[Deployment, PeerProcess, list[str]]]:
    """
    A service with a subscribed hook, its peer, and the names of its workers; all running.

    `more` are further settings.
    """
    with (
        TemporaryDirectory(prefix="clipbell-bench-") as folder,
        database(kind) as settings,
        running_peer(Path(folder), vendor) as other,
        Deployment(tree, Path(folder), other.url, **settings, **more) as clipbell,
    ):
        clipbell.start_web()
        names = clipbell.start_workers(workers)
        eventually(clipbell._ready)
        hook = {"channel": "webhook", "target": f"{other.url}/hook"}
        made = clipbell.call("POST", "/v1/subscriptions", hook)
        assert 201 == made.status, made.body
        yield clipbell, other, names
