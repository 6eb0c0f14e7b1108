"""Our own verbs as child processes, and the ports they listen on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from service.errors import ClipbellError, SettingsError
from service.settings import child_environ

HOST = "127.0.0.1"
FIRST_PORT = 8000
STOP_SECONDS = 15.0


class DemoError(ClipbellError):
    """The demo cannot go on; the message says why and what to do."""


class Processes:
    """Our own verbs as child processes, each with its log in the folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = child_environ(settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, verb: str, *arguments: str) -> None:
        """Start ``clipbell verb``, out of reach of the terminal's Ctrl-C: we stop it ourselves."""
        with self._log(verb).open("wb") as log:
            self._children[verb] = subprocess.Popen(
                [sys.executable, "-m", "service", verb, *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises DemoError when a process has ended."""
        for verb, child in self._children.items():
            if child.poll() is not None:
                raise DemoError(f"`clipbell {verb}` ended by itself{self.last_words(verb)}")

    def last_words(self, *verbs: str) -> str:
        """The last line of each log, for an error message."""
        logs = [self._log(verb) for verb in verbs or self._children]
        lines = [log.read_text().strip().splitlines()[-1:] for log in logs if log.exists()]
        return "".join(f"; it said: {line[0]}" for line in lines if line)

    def stop(self) -> None:
        """End all, the last started first; the deaf ones by force."""
        for child in reversed(self._children.values()):
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _log(self, verb: str) -> Path:
        return self._folder / f"{verb}.log"


def web_port(asked: int | None) -> int:
    """The asked port, else 8000 or a free one. Raises SettingsError when the asked one is taken."""
    if asked is not None:
        return free_port(asked)
    try:
        return free_port(FIRST_PORT)
    except SettingsError:
        return free_port(0)


def free_port(port: int) -> int:
    """`port` if nobody listens there; 0 takes any. Raises SettingsError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = f"port {port} cannot be used: {error.strerror}"
            raise SettingsError(f"{reason}; choose another with --port, or none at all") from None
        return int(probe.getsockname()[1])
