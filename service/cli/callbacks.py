"""`callbacks` and `replay`: list what providers have sent, and process one again."""

from __future__ import annotations

import typer

from service import store
from service.bootstrap import Wiring
from service.callbacks.process import replay_callback
from service.cli.account_option import acting_account, whole_id
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.errors import NotFound
from service.model.callback_json import callback_json, rejection_json


def list_callbacks(
    rejected: bool = typer.Option(False, "--rejected", help="Rejected callbacks, with the reason."),
    job: str = typer.Option(None, "--job", help="Only callbacks of this job."),
    limit: int = typer.Option(20, min=1, max=1000, help="Number of callbacks."),
    json_: bool = JsonOption,
) -> None:
    """List the newest callbacks."""
    wiring = open_wiring()
    if rejected:
        _list_rejected(wiring, limit, json_)
        return
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        callbacks = store.callbacks.page(tx, account.id, limit, job_id=whole_id(wiring, job))
    if json_:
        print_json([callback_json(callback) for callback in callbacks])
        return
    rows = [
        {
            "callback": callback.id,
            "job": callback.job_id,
            "state": callback.state.value,
            "received": ago(callback.received_at),
            "times": str(callback.repeats + 1),
            "note": callback.note,
        }
        for callback in callbacks
    ]
    if rows:
        table(rows, spare="job")
    else:
        console().print("No callback yet; `clipbell callbacks --rejected` shows rejected ones.")


def _list_rejected(wiring: Wiring, limit: int, json_: bool) -> None:
    """Print the newest rejected callbacks and the counts by reason."""
    with wiring.db.read() as tx:
        rows = store.callbacks.rejected(tx, limit)
        counts, checks = store.callbacks.count_rejections(tx), store.callbacks.url_checks(tx)
    if json_:
        data = [rejection_json(row) for row in rows]
        print_json({"data": data, "counts": counts, "url_checks": checks})
        return
    if rows:
        table(
            [{"received": ago(r.received_at), "reason": r.reason, "from": r.remote} for r in rows]
        )
    total = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    console().print(f"Rejected in total: {total or 'none'}. URL checks (GET, HEAD): {checks}.")


def replay(callback_id: str = typer.Argument(metavar="CBK"), json_: bool = JsonOption) -> None:
    """Reprocess a stored callback."""
    wiring = open_wiring()
    account = acting_account(wiring)
    callback_id = whole_id(wiring, callback_id) or callback_id
    with wiring.db.write() as tx:
        callback = store.callbacks.owned(tx, account.id, callback_id)
        if callback is None:
            raise NotFound(f"there is no callback {callback_id}: `clipbell callbacks` lists them")
        replay_callback(tx, callback, wiring.clock())
        callback = store.callbacks.find(tx, callback_id) or callback
    if json_:
        print_json(callback_json(callback))
    else:
        shown = f"see `clipbell show {callback.job_id}`"
        console().print(f"{callback.id} is reprocessed; {shown}.")
