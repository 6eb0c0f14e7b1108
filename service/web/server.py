"""gunicorn with our app in it, restarted without refusing a callback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger

from service.bootstrap import build
from service.errors import ClipbellError
from service.ops.logs import formatter_of
from service.ops.upkeep import WebHeartbeat
from service.settings import Settings
from service.store.database import REQUEST_PATIENCE_SECONDS
from service.web.app import create_app
from service.web.compat.waiters import Waiters
from service.web.intake.worker import worker_of


def logger_of(format_: str) -> type[Logger]:
    """gunicorn's logger in our format, with tokens masked, since its lines may quote requests."""

    class MaskingLogger(Logger):  # type: ignore[misc]
        def setup(self, cfg: Config) -> None:
            super().setup(cfg)
            for handler in self.error_log.handlers:
                handler.setFormatter(formatter_of(format_))

    return MaskingLogger


class Server(BaseApplication):  # type: ignore[misc]
    """
    Threaded gunicorn workers; each builds its own wiring, after the fork.

    The control socket stays off: its default place is the home folder, which a
    service may not have.

    Args:
        read_settings: called at the start, and again for each reload.
        options: gunicorn's own settings, by name.
    """

    def __init__(self, read_settings: Callable[[], Settings], **options: Any) -> None:
        self._read_settings = read_settings
        self._settings = read_settings()
        self._options = {
            "worker_class": worker_of(self._settings),
            "control_socket_disable": True,
            "graceful_timeout": 20,
            "timeout": 60,
            "keepalive": 15,
            "errorlog": "-",
            "loglevel": "warning",
            "logger_class": logger_of(self._settings.log_format),
            **options,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set our options in gunicorn's configuration."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until a signal stops it."""
        Master(self).run()

    def read_again(self) -> None:
        """Read the settings for new workers again. Raises ClipbellError, and keeps the old ones."""
        self._settings = self._read_settings()

    def load(self) -> Flask:
        """The app of one worker process."""
        wiring = build(self._settings, patience=REQUEST_PATIENCE_SECONDS)
        app = create_app(wiring)
        WebHeartbeat(wiring).start()
        waiters: Waiters = app.extensions["waiters"]
        gunicorns = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: FrameType | None) -> None:
            waiters.stop()
            if callable(gunicorns):
                gunicorns(number, frame)

        # gunicorn waits for running requests; those that wait for a job must not delay it.
        signal.signal(signal.SIGTERM, stop)
        # Ctrl-C and a closed terminal reach the whole process group; only the master reacts.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        return app


class Master(Arbiter):  # type: ignore[misc]
    """
    gunicorn's master process, whose signals interrupt no request.

    SIGHUP replaces the workers one by one; SIGUSR2 starts another master, of the code
    that is installed by then, on the same sockets. Neither closes a listening socket.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        # gunicorn's default, sys.argv, is not a command if Python was started with -m.
        self.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
        self._in_terminal = os.isatty(0)

    def handle_hup(self) -> None:
        """Reload, unless the settings are invalid now; or stop, if the terminal was closed."""
        if self._in_terminal:
            raise StopIteration
        try:
            self.app.read_again()
        except ClipbellError as error:
            self.log.error("not reloaded, all goes on as before: %s", error)
        else:
            super().handle_hup()

    def handle_int(self) -> None:
        """Ctrl-C: stop like SIGTERM; a second one ends running requests."""
        raise StopIteration
