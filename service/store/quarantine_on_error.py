"""One row's trouble stops nobody else: a row that cannot be worked on is set aside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from service import store
from service.model import Clock
from service.store.database import Database
from service.store.work import Claimable

log = logging.getLogger(__name__)


class ClaimedRow:
    """The row under work, once it is claimed."""

    row: Claimable | None = None


@contextmanager
def quarantine_on_error(db: Database, work: str, clock: Clock) -> Iterator[ClaimedRow]:
    """
    A unit of work on one row of the table `work`, told through `ClaimedRow.row`.

    An error inside sets the row aside and ends there. The database's own
    troubles are not the row's: they are raised, and its lease brings it back.
    """
    claimed = ClaimedRow()
    try:
        yield claimed
    except SQLAlchemyError:
        raise
    except Exception as error:
        if claimed.row is None:
            raise
        log.exception("%s %s cannot be worked on", work, claimed.row.id)
        reason = f"{type(error).__name__}: {error}"
        with db.write() as tx:
            store.quarantine.put(tx, work, claimed.row.id, claimed.row.claims, reason, clock())
