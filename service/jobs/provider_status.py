"""
Whether a provider is reachable: stored in its row, and logged once when it changes.

Also: the end of a hold.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Connection

from service import store

log = logging.getLogger(__name__)


def mark_unreachable(tx: Connection, provider: str, trouble: str, now: datetime) -> None:
    """Mark a provider unreachable, with the reason."""
    if store.providers.record_error(tx, provider, trouble, now):
        log.warning("%s cannot be asked: %s", provider, trouble)


def mark_reachable(tx: Connection, provider: str) -> None:
    """Mark a provider reachable."""
    if store.providers.clear_error(tx, provider):
        log.info("%s answers again", provider)


def release_provider(tx: Connection, name: str, now: datetime) -> int:
    """
    Resume a provider at once: end its hold, and any wait that it asked for.

    Returns:
        The number of jobs that were held or waited.
    """
    store.jobs.poll_now(tx, name, now)
    waited = store.jobs.make_due_now(tx, name, now)
    # After these jobs: a holder of the provider's row must not wait for a job's row. And before the
    # held jobs, so that a job that is held at this moment is found.
    store.providers.resume(tx, name)
    return waited + store.jobs.release_held(tx, name, now)
