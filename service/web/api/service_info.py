"""``/v1/me``, ``/v1/ids``, and the probes ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from flask import Blueprint, Response
from typing_extensions import TypedDict

from service import store
from service.errors import InvalidInput, NotFound, got
from service.jobs import budget
from service.model.json_types import AccountId, about
from service.ops.health import examine
from service.web.context import caller, json_response, needs, wiring

blueprint = Blueprint("service_info", __name__)


class MeJson(TypedDict):
    """The account and the key of the caller."""

    id: Annotated[AccountId, about("The account's id.")]
    name: Annotated[str, about("The account's name.", "alice")]
    scopes: Annotated[list[str], about("The key's scopes.", ["read", "submit"])]
    spent_today: Annotated[float, about("The US dollars spent since midnight UTC.", 1.32)]
    remaining_budget: Annotated[
        float | None, about("The US dollars left today; null without a budget.", 8.68)
    ]


class HealthJson(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class ReadinessJson(TypedDict):
    """The state of the service and of each of its parts."""

    status: Annotated[
        Literal["ready", "degraded", "not ready"],
        about("Whether the service accepts and processes jobs."),
    ]
    checks: Annotated[
        dict[str, str],
        about(
            "By part: `ok`, or the problem and its fix.",
            {"database": "ok", "worker": "ok"},
        ),
    ]
    polled_share: Annotated[
        float | None,
        about("The share of recent jobs whose result came by polling, without a callback.", 0.0),
    ]


@blueprint.get("/v1/me")
@needs("read")
def me() -> Response:
    """The account and the key of this request."""
    w = wiring()
    with w.db.read() as tx:
        account = store.accounts.find(tx, caller().account_id)
        left = budget.remaining(tx, w.settings, caller().account_id, w.clock())
        spent = budget.spent_today(tx, caller().account_id, w.clock())
    if account is None:
        raise NotFound("the account is gone")
    body: MeJson = {
        "id": account.id,
        "name": account.name,
        "scopes": caller().scopes,
        "spent_today": spent,
        "remaining_budget": left,
    }
    return json_response(body)


#: The pattern of an id's start.
ID_START = "[a-z]{3}_[0-9a-f]{2,32}"
IdStart = Annotated[str, about("The start of an id.", "job_0198f3c2", pattern=f"^{ID_START}$")]


class IdsJson(TypedDict):
    """The ids with the given beginning."""

    data: Annotated[
        list[str],
        about("The id; two if several ids match.", ["job_0198f3c2a1b47d6e9f00112233445566"]),
    ]


def _id_start(given: str | None) -> str:
    if given is None or not re.fullmatch(ID_START, given):
        message = "must be the start of an id, such as job_01a2" + got(given)
        raise InvalidInput.at("", "wrong_format", message)
    return given


@blueprint.get("/v1/ids")
@needs("read", prefix=_id_start)
def ids(prefix: str) -> Response:
    """Complete the id of a job, delivery, callback, subscription or key."""
    with wiring().db.read() as tx:
        found = store.ids.matching(tx, caller().account_id, prefix)
    return json_response({"data": found})


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    body: HealthJson = {"status": "ok"}
    return json_response(body)


@blueprint.get("/readyz")
def readyz() -> Response:
    """Whether the service accepts and processes jobs (else 503), with all known problems."""
    w = wiring()
    found = examine(w.db, w.storage, w.providers, w.clock(), w.settings)
    checks = {check.name: "ok" if check.ok else check.message for check in found.checks}
    body: ReadinessJson = {
        "status": found.status,
        "checks": checks,
        "polled_share": found.polled_share,
    }
    return json_response(body, 503 if found.status == "not ready" else 200)
