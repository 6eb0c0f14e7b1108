"""A PostgreSQL server of the test's own, which it may kill."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from support.servers import eventually

#: PostgreSQL refuses to run as root: then its server runs as this user.
USER = "postgres"
#: Durable as in production: what was committed must be there after SIGKILL.
OPTIONS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "listen_addresses=")


def missing() -> str:
    """Why no server can be made here, in one line; empty when one can."""
    if not _program("initdb"):
        return "no initdb in PATH or /usr/lib/postgresql (apt-get install postgresql)"
    if os.geteuid() == 0 and USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"PostgreSQL refuses root, and there is no user {USER}"
    return ""


def _program(name: str) -> str:
    """The newest of that name."""
    packaged = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    packaged.sort(key=lambda path: float(path.split("/")[4]))
    return shutil.which(name) or (packaged[-1] if packaged else "")


class Cluster:
    """
    A server with an empty database `clipbell`, on a Unix socket in a folder of its own.

    Args:
        on: what a command begins with that is to run on another host, as root.
        address: that host's, which the server listens on too.
        network: who may call it there, as CIDR.
    """

    def __init__(self, on: Sequence[str] = (), address: str = "", network: str = "") -> None:
        self._on, self._address, self._network = on, address, network
        # Not below pytest's folder, which only its owner may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="clipbell-pg-"))
        self.url = self._url("clipbell")
        self._as: dict[str, Any] = {"start_new_session": True, "stdin": subprocess.DEVNULL}
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
            self._as |= {"user": USER, "group": USER, "extra_groups": []}
        self.folder.chmod(0o755)

    def _url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def __enter__(self) -> Cluster:
        how = ("--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C", "--no-sync")
        command = [_program("initdb"), *how, "-D", str(self.folder / "data")]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._as)
        if self._address:
            self.url = f"postgresql://{USER}@{self._address}/clipbell"
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._network} trust\n")
        self.start()
        eventually(self.answers)
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE clipbell")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """The server, starting; after a kill it recovers first."""
        options = [word for option in OPTIONS for word in ("-c", option)]
        where = ["-D", str(self.folder / "data"), "-k", str(self.folder)]
        command = [_program("postgres"), *where, *options]
        how = self._as
        if self._on:
            # The host is entered as root, which the server must not be.
            as_user = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
            command = [*self._on, "setpriv", *as_user, *command]
            command += ["-c", f"listen_addresses={self._address}"]
            how = {"start_new_session": True, "stdin": subprocess.DEVNULL}
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd="/",
                **how,
            )

    def copy(self, name: str) -> None:
        """The files as they are now, beside them; the server must be down."""
        shutil.copytree(self.folder / "data", self.folder / name)
        self._own(self.folder / name)

    def replace_by(self, name: str) -> None:
        """The server's files are those of that copy from now on; it must be down."""
        shutil.rmtree(self.folder / "data")
        (self.folder / name).rename(self.folder / "data")

    def _own(self, folder: Path) -> None:
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, USER, USER)

    def alive(self) -> bool:
        """Whether the process runs: it ends at once where a dead one's children still live."""
        return self._server.poll() is None

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def freeze(self) -> None:
        """SIGSTOP to all of it: connections stay open, and nobody answers on them."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to all of it."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        # Its parent first, so that no child is missed.
        self._server.send_signal(number)
        for child in _children(self._server.pid):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def set_read_only(self, answer: bool) -> None:
        """Refuse every write, as managed servers do when they are full or failing over."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            value = b"on" if answer else b"off"
            connection.execute(b"ALTER SYSTEM SET default_transaction_read_only = " + value)
            connection.execute("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """SIGKILL to the postmaster and to every process of its."""
        children = _children(self._server.pid)
        self._server.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._server.wait(20)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
