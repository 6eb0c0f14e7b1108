"""Settings: the key's account; for an operator also the service's settings and health."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Any

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import __version__, store
from service.jobs import budget
from service.ops.doctor import CHECKS, QUICK, findings
from service.ops.health import Health, examine, glance
from service.web.api.providers import hold_provider, resume_provider, shown
from service.web.api.subscriptions import reserve_test_slot
from service.web.context import caller, wiring
from service.web.dashboard.effective_settings import effective_settings
from service.web.session import page, signed_in

blueprint = Blueprint("settings", __name__)


@blueprint.get("/settings")
@signed_in("read")
def index() -> AnyResponse:
    """The account and its key; for an operator everything else, without calls to other machines."""
    if "operator" not in caller().scopes:
        return page("settings.html", **_own(), operator=False)
    w = wiring()
    health = glance(w.db, w.storage, w.providers, w.clock(), pull=w.settings.pull)
    return page("settings.html", **_own(), **_whole(health, QUICK), checked=False)


@blueprint.post("/settings/check")
@signed_in("operator")
def check() -> AnyResponse:
    """The same page with calls to other machines, each of which ends within a minute."""
    w = wiring()
    with reserve_test_slot("checks are running"):
        health = examine(w.db, w.storage, w.providers, w.clock(), w.settings)
        return page("settings.html", **_own(), **_whole(health, CHECKS), checked=True)


@blueprint.post("/settings/providers/<name>/hold")
@signed_in("operator")
def hold(name: str) -> AnyResponse:
    """Stop sending jobs to this vendor."""
    hold_provider(name)
    return redirect(url_for(".index", _anchor=f"provider-{name}"), 303)


@blueprint.post("/settings/providers/<name>/resume")
@signed_in("operator")
def resume(name: str) -> AnyResponse:
    """Send jobs to this vendor again, held ones first."""
    resume_provider(name)
    return redirect(url_for(".index", _anchor=f"provider-{name}"), 303)


def _own() -> dict[str, Any]:
    """The values for everybody: the account, its spending today, and the rest of its budget."""
    w, account = wiring(), caller().account_id
    with w.db.read() as tx:
        return {
            "account": store.accounts.find(tx, account),
            "spent": budget.spent_today(tx, account, w.clock()),
            "left": budget.remaining(tx, w.settings, account, w.clock()),
            "budget": w.settings.budget,
        }


def _whole(health: Health, subjects: Iterable[str]) -> dict[str, Any]:
    """The additional values for an operator."""
    w = wiring()
    return {
        "operator": True,
        "health": health,
        "providers": [shown(name) for name in w.providers],
        "keyless": [name for name in w.settings.providers if name not in w.providers],
        "findings": findings(w, subjects),
        "groups": effective_settings(w.settings, w.db.engine.url),
        "versions": versions_in_use(),
    }


def versions_in_use() -> dict[str, str]:
    """The versions of Clipbell, of Python, of the database and of the schema, by name."""
    w = wiring()
    with w.db.read() as tx:
        number = ".".join(str(part) for part in tx.dialect.server_version_info or ())
    return {
        "Clipbell": __version__,
        "Python": platform.python_version(),
        w.db.product: number,
        "Schema": w.db.version().at or "none",
    }
