"""`callbacks`: what vendors have sent."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here, whole_id
from service.cli.output import JsonOption, ago, console, print_json, print_list, table
from service.model.callback_json import CallbackJson, callback_json, rejection_json


def list_callbacks(
    rejected: bool = typer.Option(False, "--rejected", help="Rejected callbacks, with the reason."),
    job: str = typer.Option(None, "--job", help="Only callbacks of this job."),
    limit: int = typer.Option(20, min=1, max=1000, metavar="N", help="Number of callbacks."),
    json_: bool = JsonOption,
) -> None:
    """
    List the newest callbacks from vendors.

    Examples:
      clipbell callbacks --job job_01a2b3c4
      clipbell callbacks --rejected
    """
    if rejected:
        _list_rejected(limit, json_)
        return

    def here() -> list[CallbackJson]:
        with open_here().db.read() as tx:
            account_id, job_id = acting_account(tx).id, whole_id(tx, job) or None
            page = store.callbacks.page(tx, account_id, limit, job_id=job_id)
        return [callback_json(callback) for callback in page]

    request = Request("GET", "/v1/callbacks", query={"job_id": job}, limit=limit)
    found: list[CallbackJson] = answer(request, here)
    rows = [
        {
            "callback": one["id"],
            "job": one["job_id"],
            "state": str(one["state"]),
            "received": ago(one["received_at"]),
            "times": str(one["repeats"] + 1),
            "note": one["note"],
        }
        for one in found
    ]
    none = "No callback yet; `clipbell callbacks --rejected` shows rejected ones."
    print_list(found, rows, json_, none=none, spare=("received",))


def _list_rejected(limit: int, json_: bool) -> None:
    """Print the newest rejected callbacks and the counts by reason."""

    def here() -> dict[str, Any]:
        with open_here().db.read() as tx:
            page = store.callbacks.rejected(tx, limit)
            return {
                "data": [rejection_json(row) for row in page],
                "counts": store.callbacks.count_rejections(tx),
                "url_checks": store.callbacks.url_checks(tx),
            }

    query = {"limit": min(limit, 100)}
    found = answer(Request("GET", "/v1/callbacks/rejected", query=query), here)
    if json_:
        print_json(found)
        return
    rows = [
        {"received": ago(one["received_at"]), "reason": one["reason"], "from": one["remote"]}
        for one in found["data"]
    ]
    if rows:
        table(rows)
    total = ", ".join(f"{count} {reason}" for reason, count in found["counts"].items())
    console().print(
        f"Rejected in total: {total or 'none'}. URL checks (GET, HEAD): {found['url_checks']}."
    )
