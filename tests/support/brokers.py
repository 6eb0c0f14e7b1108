"""Real brokers for the distributed engine: RabbitMQ (a vhost of the test's own) and Redis."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from kombu import Connection

from service.engines.hints import KINDS, queue_name
from support.servers import eventually, free_port

BROKERS = ("rabbitmq", "redis")
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"
#: The wrapper in the path would become another user, who cannot write where a test keeps things.
RABBITMQ_PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
ENVIRON = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}


def named() -> dict[str, str]:
    """The broker that TEST_BROKER_URL names, by its kind."""
    url = os.environ.get("TEST_BROKER_URL", "")
    return {"redis" if url.startswith("redis") else "rabbitmq": url} if url else {}


def missing(kind: str) -> str:
    """What is missing for tests on that broker, in one line; blank when all is there."""
    if kind in named():
        return "" if _answers(named()[kind]) else f"nothing at TEST_BROKER_URL={named()[kind]}"
    if kind == "redis":
        return missing_program(kind)
    if not _answers(RABBITMQ):
        return f"no RabbitMQ at {RABBITMQ} (apt-get install rabbitmq-server, or TEST_BROKER_URL)"
    found = shutil.which("rabbitmqctl")
    return "" if found else "no rabbitmqctl for a vhost of the test's own (or set TEST_BROKER_URL)"


def missing_program(kind: str) -> str:
    """The same for a server of the test's own."""
    program = {"redis": "redis-server", "rabbitmq": RABBITMQ_PROGRAM}[kind]
    return "" if shutil.which(program) else f"no {program} (apt-get install {kind}-server)"


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 5672), 3).close()
    except OSError:
        return False
    return True


class Broker:
    """A broker that only this test uses; `url` is what CLIPBELL_BROKER_URL is to be."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (6379 if self.url.startswith("redis") else 5672)

    def url_through(self, port: int) -> str:
        """The same broker, reached through a port of this machine."""
        host, own = self.address
        named = f"{host}:{own}" if f"{host}:{own}" in self.url else host
        return self.url.replace(named, f"127.0.0.1:{port}")

    def waiting(self, kind: str) -> int:
        """How many hints of that kind wait in its queue; 0 where there is no queue."""
        found = self._ask(kind, "queue_declare", passive=True)
        return found.message_count if found else 0

    def purge(self) -> int:
        """Empty all queues; how many hints there were."""
        return sum(self._ask(kind, "queue_purge") or 0 for kind in KINDS)

    def delete_queues(self) -> None:
        """Remove the queues, as a broker does that has lost its disk."""
        for kind in KINDS:
            self._ask(kind, "queue_delete")

    def _ask(self, kind: str, method: str, **how: Any) -> Any:
        with Connection(self.url) as connection, suppress(*connection.channel_errors):
            return getattr(connection.default_channel, method)(queue_name(kind), **how)
        return None


@contextmanager
def start_broker(kind: str) -> Iterator[Broker]:
    """A broker of that kind for this test alone, empty."""
    if kind in named():
        broker = Broker(named()[kind])
        broker.delete_queues()
        yield broker
    elif kind == "redis":
        with RedisServer() as server:
            yield server
    else:
        with _vhost() as url:
            yield Broker(url)


@contextmanager
def _vhost() -> Iterator[str]:
    name = f"clipbell-{uuid.uuid4().hex[:8]}"
    _rabbitmqctl("add_vhost", name)
    _rabbitmqctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
    yield f"{RABBITMQ}/{name}"
    _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> None:
    subprocess.run(
        [shutil.which("rabbitmqctl") or "", "-q", *arguments], check=True, capture_output=True
    )


class OwnServer(Broker):
    """A broker of the test's own, which it may kill."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._folder = tempfile.mkdtemp(prefix="clipbell-broker-")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """The server, taking connections."""
        command, environ = self.command()
        self._server = subprocess.Popen(
            command,
            env=ENVIRON | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(lambda: _answers(self.url), 90)

    def may_be_killed(self) -> bool:
        """Whether a kill at this moment damages no queue."""
        return True

    def kill(self) -> None:
        """SIGKILL to it and its processes."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait(20)

    def command(self) -> tuple[list[str], dict[str, str]]:
        """How it is started, with what in its environment."""
        raise NotImplementedError


class RedisServer(OwnServer):
    """Redis; what it held is gone when it is killed."""

    def __init__(self) -> None:
        super().__init__(f"redis://127.0.0.1:{free_port()}/0")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Nothing is kept on disk."""
        where = ["--bind", "127.0.0.1", "--port", str(self.address[1]), "--dir", self._folder]
        program = shutil.which("redis-server") or ""
        return [program, *where, "--save", "", "--appendonly", "no"], {}


class RabbitServer(OwnServer):
    """RabbitMQ; its queues and their hints are on disk when it is killed."""

    def __init__(self) -> None:
        super().__init__(f"amqp://guest:guest@127.0.0.1:{free_port()}//")

    def command(self) -> tuple[list[str], dict[str, str]]:
        """A node beside the machine's own, without plug-ins."""
        host, port = self.address
        (Path(self._folder) / "plugins").write_text("[].")
        given = {
            "HOME": self._folder,
            "RABBITMQ_NODENAME": f"clipbell{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": host,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{self._folder}/rows",
            "RABBITMQ_LOG_BASE": f"{self._folder}/log",
            "RABBITMQ_PID_FILE": f"{self._folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self._folder}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{self._folder}/none",
        }
        return [RABBITMQ_PROGRAM], given

    def may_be_killed(self) -> bool:
        """
        Whether the names of all queues are on disk.

        It writes them within a second. Killed before that, it comes back with a queue
        that has no leader, and nothing can be done with that one but delete it.
        """
        files = Path(self._folder).rglob("quorum/*/names.dets")
        written = b"".join(path.read_bytes() for path in files)
        return all(f"%2F_{queue_name(kind)}m".encode() in written for kind in KINDS)


OWN_SERVERS: dict[str, Callable[[], OwnServer]] = {"redis": RedisServer, "rabbitmq": RabbitServer}
