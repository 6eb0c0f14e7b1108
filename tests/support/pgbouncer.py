"""A PgBouncer in transaction mode, as managed databases put it before their servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from support.servers import eventually, free_port

#: It refuses to run as root.
USER = "postgres"
CONFIG = """
[databases]
* = host={host} port=5432 user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""


def missing() -> str:
    """Why there is none here, in one line; empty when there is."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return "" if found else "no pgbouncer (apt-get install pgbouncer)"


class PgBouncer:
    """
    Before the server at `host`, with so many connections of its own.

    Args:
        host: a name, or the folder of a Unix socket.
    """

    def __init__(self, host: str, name: str, size: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="clipbell-bouncer-"))
        port = free_port()
        self.url = f"postgresql://{USER}@127.0.0.1:{port}/{name}"
        config = self._folder / "pgbouncer.ini"
        config.write_text(CONFIG.format(host=host, user=USER, port=port, size=size))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": USER, "group": USER, "extra_groups": []}
            self._folder.chmod(0o755)
        self._command = ["pgbouncer", "-q", str(config)]

    def __enter__(self) -> PgBouncer:
        environ = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
        self._process = subprocess.Popen(
            self._command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._as,
        )
        eventually(self._answers)
        return self

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._folder)
