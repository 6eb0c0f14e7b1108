"""gunicorn with our app in it."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from service.bootstrap import build
from service.settings import Settings
from service.web.app import create_app
from service.web.compat.waiters import Waiters


class Server(BaseApplication):  # type: ignore[misc]
    """
    Threaded gunicorn workers; each builds its own wiring, after the fork.

    The control socket stays off: its default place is the home folder, which a
    service may not have.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._settings = settings
        self._options = {
            "worker_class": "gthread",
            "control_socket_disable": True,
            "graceful_timeout": 20,
            "timeout": 60,
            "keepalive": 15,
            "errorlog": "-",
            "loglevel": "warning",
            **options,
        }
        super().__init__()

    def load_config(self) -> None:
        """Our options into gunicorn's."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The app of one worker process."""
        app = create_app(build(self._settings))
        waiters: Waiters = app.extensions["waiters"]
        gunicorns = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: FrameType | None) -> None:
            waiters.stop()
            if callable(gunicorns):
                gunicorns(number, frame)

        # gunicorn waits for running requests: those that wait for a job shall not keep it.
        signal.signal(signal.SIGTERM, stop)
        return app
