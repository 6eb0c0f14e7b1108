"""
A receiver as it is often written: Flask, the ORM, Celery.

It verifies the signature, inserts a row, commits and enqueues a task. A database that
is locked is waited for, so that none is refused. Runs in the peers' environment.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import UTC, datetime

from celery import Celery
from flask import Flask, request
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

LOCK_SECONDS = 60

_url, _secret = os.environ["PEER_DATABASE"], os.environ["PEER_SECRET"].encode()
_patience = {"timeout": LOCK_SECONDS} if _url.startswith("sqlite") else {}
engine = create_engine(_url, connect_args=_patience)
tasks = Celery(broker=os.environ["PEER_BROKER"])
app = Flask(__name__)


class Base(DeclarativeBase):
    """Of all tables."""


class Hook(Base):
    """One POST."""

    __tablename__ = "hooks"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    received_at: Mapped[datetime]


Base.metadata.create_all(engine)


@app.post("/hook")
def receive() -> tuple[dict[str, bool], int]:
    """Keep it, then let a worker know."""
    body = request.get_data()
    signature = hmac.new(_secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"sha256={signature}", request.headers.get("X-Signature", "")):
        return {"ok": False}, 401
    with Session(engine) as session:
        hook = Hook(body=body, received_at=datetime.now(UTC))
        session.add(hook)
        session.commit()
        tasks.send_task("handle", [hook.id])
    return {"ok": True}, 200
