"""`worker`: the worker process."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

import typer

from service.bootstrap import build
from service.cli.here import note_remote
from service.engines import worker as workers
from service.ops.startup import make_ready
from service.settings import load_settings


def worker(
    threads: int = typer.Option(120, min=5, metavar="N", help="Threads for all kinds of work."),
) -> None:
    """
    Run the worker process: it sends jobs, copies videos and delivers messages.

    SIGTERM stops it. A request that creates a task finishes first.

    Examples:
      clipbell worker
    """
    settings = make_ready(load_settings())
    note_remote(settings.public_url)
    if settings.engine == "celery":
        # Its library is an extra.
        sys.exit(import_module("service.engines.celery").run_worker(threads))
    wiring = build(settings)
    if workers.run_worker(wiring, threads):
        wiring.close()
    else:
        # At a normal exit the threads that are left would see their connections closed.
        logging.shutdown()
        os._exit(0)
