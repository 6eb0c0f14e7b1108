"""`serve` with less patience, for tests: ``python -m support.short_deadlines PORT SECONDS``."""

from __future__ import annotations

import sys

from service.settings import load_settings
from service.web.intake.worker import worker_of
from service.web.server import Server


def main(port: str, seconds: str) -> None:
    """Serve; a request may take `seconds` to come."""
    patient = worker_of(load_settings())
    short = type("Worker", (patient,), {"request_seconds": float(seconds)})
    bind = f"127.0.0.1:{port}"
    Server(load_settings, worker_class=short, bind=bind, workers=1, threads=8).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
