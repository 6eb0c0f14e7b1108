"""``/v1/me`` and the machine's own questions: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from service import budget, store
from service.errors import ClipbellError, NotFound
from service.web.context import caller, json_response, needs, wiring

blueprint = Blueprint("service_info", __name__)

WORKER_SILENCE = timedelta(seconds=30)


@blueprint.get("/v1/me")
@needs("read")
def me() -> Response:
    """Whose key this is."""
    w = wiring()
    with w.db.read() as tx:
        account = store.accounts.find(tx, caller().account_id)
        left = budget.remaining(tx, w.settings, caller().account_id, w.clock())
    if account is None:
        raise NotFound("the account is gone")
    body = {"id": account.id, "name": account.name, "scopes": caller().scopes}
    return json_response({**body, "remaining_budget": left})


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return json_response({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Jobs can be taken and will be worked on; 503 with what is wrong."""
    checks = {"database": _database(), "storage": _storage(), "worker": _worker()}
    wrong = [name for name, finding in checks.items() if finding != "ok"]
    body: dict[str, Any] = {"status": "not ready" if wrong else "ready", "checks": checks}
    return json_response(body, 503 if wrong else 200)


def _database() -> str:
    try:
        wiring().db.check()
    except ClipbellError as error:
        return str(error)
    return "ok"


def _storage() -> str:
    try:
        wiring().storage.check()
    except ClipbellError as error:
        return str(error)
    return "ok"


def _worker() -> str:
    w = wiring()
    try:
        with w.db.read() as tx:
            seen = store.work.last_beat(tx)
    except SQLAlchemyError:
        return "cannot be asked: see database"
    if seen is None or w.clock() - seen > WORKER_SILENCE:
        return "no worker is alive: start `clipbell worker`"
    return "ok"
