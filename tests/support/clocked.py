"""
Web or worker with a clock that can be set: ``python -m support.clocked FILE serve PORT|worker``.

The file holds the seconds by which the clock is wrong, and may be written at
any time. The clock is an argument of the product; only gunicorn's own class
builds its wiring without one.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask

from service.bootstrap import Wiring, build
from service.engines.worker import run_worker
from service.model import utc_now
from service.ops.logs import configure
from service.settings import Settings, load_settings
from service.web.app import create_app
from service.web.server import Server

THREADS = 16


def wiring(settings: Settings, wrong_by: Path) -> Wiring:
    """All collaborators, with the clock of that file."""

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=float(wrong_by.read_text()))

    return build(settings, clock)


class ClockedServer(Server):
    """gunicorn with the same clock in it."""

    def __init__(self, settings: Settings, wrong_by: Path, port: int) -> None:
        self._wrong_by = wrong_by
        super().__init__(lambda: settings, bind=f"127.0.0.1:{port}", workers=1, threads=8)

    def load(self) -> Flask:
        """The app of one worker process."""
        return create_app(wiring(self._settings, self._wrong_by))


def set_clock(wrong_by: Path, seconds: float) -> None:
    """Set the clock of all who look at that file; nobody ever sees half a number."""
    written = wrong_by.with_suffix(".new")
    written.write_text(str(seconds))
    written.replace(wrong_by)


def main(file: str, verb: str, *port: str) -> None:
    """Serve or work until SIGTERM."""
    settings = load_settings()
    configure(settings.log_format)
    if verb == "serve":
        ClockedServer(settings, Path(file), int(port[0])).run()
        return
    made = wiring(settings, Path(file))
    run_worker(made, THREADS)
    made.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
