"""`callbacks` and `replay`: what providers have sent, and a second look at it."""

from __future__ import annotations

import typer

from service import store
from service.bootstrap import Wiring
from service.callbacks.process import replay_callback
from service.cli.account_option import acting_account
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.errors import NotFound
from service.model import Callback
from service.model.serializers import callback_json, rejection_json


def list_callbacks(
    rejected: bool = typer.Option(False, "--rejected", help="Those that were refused, and why."),
    job: str = typer.Option(None, "--job", help="Only those of this job."),
    limit: int = typer.Option(20, min=1, max=1000, help="How many."),
    json_: bool = JsonOption,
) -> None:
    """The newest callbacks."""
    wiring = open_wiring()
    if rejected:
        _list_rejected(wiring, limit, json_)
        return
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        found = store.callbacks.page(tx, account.id, limit, job_id=job)
    if json_:
        print_json([callback_json(callback) for callback in found])
    elif found:
        table([_row(callback) for callback in found], spare="job")
    else:
        console().print("No callback yet; `clipbell callbacks --rejected` shows refused ones.")


def _row(callback: Callback) -> dict[str, str]:
    return {
        "callback": callback.id,
        "job": callback.job_id,
        "state": callback.state.value,
        "came": ago(callback.received_at),
        "times": str(callback.repeats + 1),
        "note": callback.note,
    }


def _list_rejected(wiring: Wiring, limit: int, json_: bool) -> None:
    with wiring.db.read() as tx:
        rows = store.callbacks.rejected(tx, limit)
        counts = store.callbacks.count_rejections(tx)
    if json_:
        print_json({"data": [rejection_json(row) for row in rows], "counts": counts})
        return
    if rows:
        found = [{"came": ago(r.received_at), "reason": r.reason, "from": r.remote} for r in rows]
        table(found)
    total = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    console().print(f"Refused in all: {total or 'none'}.")


def replay(callback_id: str = typer.Argument(metavar="CBK"), json_: bool = JsonOption) -> None:
    """Look at a stored callback once more."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.write() as tx:
        found = store.callbacks.owned(tx, account.id, callback_id)
        if found is None:
            raise NotFound(f"there is no callback {callback_id}: `clipbell callbacks` lists them")
        replay_callback(tx, found, wiring.clock())
        found = store.callbacks.find(tx, callback_id) or found
    if json_:
        print_json(callback_json(found))
    else:
        console().print(f"{found.id} is looked at again; `clipbell show {found.job_id}` tells.")
