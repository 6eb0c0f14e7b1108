"""
A loop such as Healthchecks' `sendalerts`: take a row, mark it, send it on a thread.

``python -m bench.peers.sendalerts DATABASE_URL`` with ``setup HOOK``, ``produce RATE FIRST
COUNT`` or ``send``, in the peers' environment. As there, it sleeps for two seconds when it
finds no row; there it does so when no thread is free, too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from threading import BoundedSemaphore

import requests
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.peers.pacing import produce

IDLE_SECONDS = 2.0
#: Healthchecks' default is one.
THREADS = 10


class Base(DeclarativeBase):
    """Of all tables."""


class Channel(Base):
    """Where it is sent."""

    __tablename__ = "channels"
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]


class Flip(Base):
    """News that somebody is to hear."""

    __tablename__ = "flips"
    id: Mapped[int] = mapped_column(primary_key=True)
    processed: Mapped[datetime | None] = mapped_column(index=True)


class Notification(Base):
    """One attempt, and how it went."""

    __tablename__ = "notifications"
    id: Mapped[int] = mapped_column(primary_key=True)
    flip_id: Mapped[int]
    created: Mapped[datetime]
    error: Mapped[str]


def notify(engine: Engine, flip_id: int) -> None:
    """Log an attempt, send, write how it went."""
    with Session(engine) as session:
        url = session.scalars(select(Channel.url)).one()
        attempt = Notification(flip_id=flip_id, created=datetime.now(UTC), error="Sending")
        session.add(attempt)
        session.commit()
        try:
            answer = requests.post(url, json={"number": flip_id}, timeout=10)
            attempt.error = "" if answer.ok else f"status {answer.status_code}"
        except requests.RequestException as error:
            attempt.error = str(error)
        session.commit()


def send_one(engine: Engine, pool: ThreadPoolExecutor, free: BoundedSemaphore) -> bool:
    """Take the first row and send it on a free thread; False where there is no row."""
    free.acquire()
    with Session(engine) as session:
        flip_id = session.scalars(select(Flip.id).filter_by(processed=None).limit(1)).first()
        if flip_id is not None:
            unsent = update(Flip).filter_by(id=flip_id, processed=None)
            session.execute(unsent.values(processed=datetime.now(UTC)))
            session.commit()
    if flip_id is None:
        free.release()
        return False
    sent = pool.submit(notify, engine, flip_id)
    sent.add_done_callback(lambda _: free.release())
    return True


def commit(engine: Engine, number: int) -> None:
    """One row."""
    with Session(engine) as session:
        session.add(Flip(id=number, processed=None))
        session.commit()


def main(url: str, verb: str, *given: str) -> None:
    """One of the three."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    if verb == "setup":
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Channel(url=given[0]))
            session.commit()
    elif verb == "produce":
        insert: Callable[[int], None] = partial(commit, engine)
        produce(insert, float(given[0]), int(given[1]), int(given[2]))
    else:
        pool, free = ThreadPoolExecutor(THREADS), BoundedSemaphore(THREADS)
        pause = threading.Event()
        while True:
            if not send_one(engine, pool, free):
                pause.wait(IDLE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
