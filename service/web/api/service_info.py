"""``/v1/me`` and the machine's own questions: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from flask import Blueprint, Response

from service import store
from service.errors import NotFound
from service.jobs import budget
from service.ops.health import examine
from service.web.context import caller, json_response, needs, wiring

blueprint = Blueprint("service_info", __name__)


@blueprint.get("/v1/me")
@needs("read")
def me() -> Response:
    """Whose key this is."""
    w = wiring()
    with w.db.read() as tx:
        account = store.accounts.find(tx, caller().account_id)
        left = budget.remaining(tx, w.settings, caller().account_id, w.clock())
        spent = budget.spent_today(tx, caller().account_id, w.clock())
    if account is None:
        raise NotFound("the account is gone")
    body = {"id": account.id, "name": account.name, "scopes": caller().scopes}
    return json_response({**body, "spent_today": spent, "remaining_budget": left})


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return json_response({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Whether jobs are taken and worked on, else 503; what else is wrong stands beside it."""
    w = wiring()
    found = examine(w.db, w.storage, w.providers, w.clock())
    checks = {check.name: "ok" if check.ok else check.message for check in found.checks}
    body = {"status": found.status, "checks": checks, "polled_share": found.polled_share}
    return json_response(body, 503 if found.status == "not ready" else 200)
