"""Our own verbs as child processes, which start and stop together, and their ports."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from service.errors import ClipbellError, OutboundError, SettingsError
from service.formatting import format_address
from service.outbound.client import Outbound

HOST = "127.0.0.1"
#: Errors that another port does not have.
OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
START_SECONDS = 30.0
PROBE_SECONDS = 15.0
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessFailed(ClipbellError):
    """A process of ours ended or does not answer; the message has its last line of log."""


class Processes:
    """
    Runs our own verbs as child processes, until the end of the block.

    Args:
        environ: their environment.
        logs: the folder for a log of each; None: they use our own stderr.
        patience_seconds: the seconds before a stopping process is killed; None: no limit.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        logs: Path | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        self._environ = environ
        self._logs = logs
        self._patience_seconds = patience_seconds
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, verb: str, *arguments: str) -> None:
        """Start ``clipbell verb``, without the terminal's Ctrl-C: we stop it ourselves."""
        log = self._log(verb).open("wb") if self._logs else None
        # Interrupted in the middle, it would leave a process that nobody knows.
        with _signals_deferred():
            self._children[verb] = subprocess.Popen(
                [sys.executable, "-m", "service", verb, *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if log:
            log.close()

    def check(self) -> None:
        """Raise ProcessFailed if a process has ended."""
        for verb, child in self._children.items():
            if child.poll() is not None:
                raise ProcessFailed(f"`clipbell {verb}` ended by itself{self._last_words(verb)}")

    def await_answer(self, url: str) -> None:
        """Wait until a GET of the URL is answered with 200. Raises ProcessFailed."""
        deadline = time.monotonic() + START_SECONDS
        with closing(Outbound([f"{HOST}/32"])) as outbound:
            while not _answers(outbound, url):
                self.check()
                if time.monotonic() > deadline:
                    words = self._last_words(*self._children)
                    raise ProcessFailed(f"{url} did not answer within {START_SECONDS:.0f} s{words}")
                time.sleep(0.1)

    def await_end(self) -> None:
        """Wait until a process ends by itself, then raise ProcessFailed."""
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        self.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all, the last started first."""
        with ExitStack() as handlers:
            for number in STOPPING_SIGNALS:
                # A second Ctrl-C must not leave processes running.
                before = signal.signal(number, signal.SIG_IGN)
                handlers.callback(signal.signal, number, before)
            for child in reversed(self._children.values()):
                child.terminate()
            for child in self._children.values():
                try:
                    child.wait(self._patience_seconds)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def _log(self, verb: str) -> Path:
        return (self._logs or Path()) / f"{verb}.log"

    def _last_words(self, *verbs: str) -> str:
        """The last line of each log, for an error message."""
        logs = [self._log(verb) for verb in verbs] if self._logs else []
        lines = [log.read_text("utf-8", "replace").strip().splitlines()[-1:] for log in logs]
        return "".join(f"; it said: {line[0]}" for line in lines if line)


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """A signal that stops this process acts once the block is done."""
    came: list[int] = []
    with ExitStack() as handlers:
        for number in STOPPING_SIGNALS:
            before = signal.signal(number, lambda which, _: came.append(which))
            handlers.callback(signal.signal, number, before)
        yield
    for which in came:
        signal.raise_signal(which)


def interrupt_on_signals() -> None:
    """Let SIGTERM and a closed terminal raise KeyboardInterrupt, like Ctrl-C."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, signal.default_int_handler)


def free_port(port: int, host: str = HOST) -> int:
    """`port` if it is free; for 0 any free port. Raises SettingsError, with the fix."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"cannot listen on {format_address(host, port)}: {error.strerror}"
            option = "--port" if error.errno in OF_THE_PORT else "--host"
            raise SettingsError(f"{reason}; choose another with {option}") from None
        return int(probe.getsockname()[1])


def _answers(outbound: Outbound, url: str) -> bool:
    try:
        return outbound.call("GET", url, seconds=PROBE_SECONDS).status == 200
    except OutboundError:
        return False
