"""One row's trouble stops nobody else: a row that cannot be worked on is set aside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from service import store
from service.db import Database
from service.model import Clock
from service.store.work import Claimable

log = logging.getLogger(__name__)


class Held:
    """The row under work, once it is claimed."""

    row: Claimable | None = None


@contextmanager
def sheltered(db: Database, work: str, clock: Clock) -> Iterator[Held]:
    """
    A unit of work on one row of the table `work`, told through `Held.row`.

    An error inside sets the row aside and ends there. The database's own
    troubles are not the row's: they are raised, and its lease brings it back.
    """
    held = Held()
    try:
        yield held
    except SQLAlchemyError:
        raise
    except Exception as error:
        if held.row is None:
            raise
        log.exception("%s %s cannot be worked on", work, held.row.id)
        reason = f"{type(error).__name__}: {error}"
        with db.write() as tx:
            store.aside.put(tx, work, held.row.id, held.row.claims, reason, clock())
