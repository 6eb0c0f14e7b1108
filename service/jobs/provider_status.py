"""
Whether a provider can be reached: kept in its row, and logged once when it changes.

Also the end of a hold.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Connection

from service import store

log = logging.getLogger(__name__)


def mark_unreachable(tx: Connection, provider: str, trouble: str, now: datetime) -> None:
    """The provider could not be asked, for this reason."""
    if store.providers.record_error(tx, provider, trouble, now):
        log.warning("%s cannot be asked: %s", provider, trouble)


def mark_reachable(tx: Connection, provider: str) -> None:
    """The provider answers."""
    if store.providers.clear_error(tx, provider):
        log.info("%s answers again", provider)


def release_provider(tx: Connection, name: str, now: datetime) -> int:
    """
    Go on sending to a provider and asking it at once, whatever it asked us to wait for.

    Returns:
        How many jobs were held or waited.
    """
    store.jobs.poll_now(tx, name, now)
    waited = store.jobs.make_due_now(tx, name, now)
    # After these jobs: who has the provider's row must not wait for a job's. And before those
    # that are held: one that is held at this moment is seen then.
    store.providers.resume(tx, name)
    return waited + store.jobs.release_held(tx, name, now)
