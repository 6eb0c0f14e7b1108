"""`ledger`: what jobs were to cost beside what vendors have charged."""

from __future__ import annotations

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import acting_account
from service.cli.output import JsonOption, console, open_wiring, print_error, print_json, table
from service.cli.parsing import moment
from service.formatting import format_difference, format_money
from service.jobs.budget import midnight
from service.jobs.ledger import (
    USUAL_DAYS,
    USUAL_HISTORY,
    LedgerDayJson,
    compare_all,
    ledger_day_json,
    unmatched_task_json,
)
from service.jobs.lookup import job_in_url


def ledger(
    since: str = typer.Option(None, "--since", metavar="T", help="Only after this time."),
    unmatched: bool = typer.Option(
        False, "--unmatched", help="Ask vendors for tasks that no job here has."
    ),
    json_: bool = JsonOption,
) -> None:
    """Compare estimates with the vendors' own figures, by day and vendor."""
    wiring = open_wiring()
    if unmatched:
        _list_unmatched(wiring, since, json_)
        return
    account, now = acting_account(wiring), wiring.clock()
    first = midnight(moment(since, now) if since else now - USUAL_DAYS)
    with wiring.db.read() as tx:
        days = [ledger_day_json(day) for day in store.reports.ledger(tx, account.id, first)]
    if json_:
        print_json(days)
    elif days:
        table([_row(day) for day in days])
    else:
        console().print("No job was sent in this time.")


def _row(day: LedgerDayJson) -> dict[str, str]:
    return {
        "day": day["day"],
        "provider": day["provider"],
        "jobs": f"{day['jobs']} ({day['settled_jobs']} settled)",
        "estimated": format_money(day["estimated"]),
        "reserved": format_money(day["reserved"]),
        "settled": format_money(day["settled"]),
        "difference": format_difference(day["difference"]),
    }


def _list_unmatched(wiring: Wiring, since: str | None, json_: bool) -> None:
    now = wiring.clock()
    first = moment(since, now) if since else now - USUAL_HISTORY
    job_of = job_in_url(wiring.signer, now)
    found, troubles = compare_all(wiring.db, wiring.providers, wiring.settings, first, job_of)
    rows = [unmatched_task_json(task) for task in found]
    for name, trouble in troubles.items():
        print_error(f"{name} could not be asked: {trouble}")
    if json_:
        print_json(rows)
    elif rows:
        names = ("provider", "task_id", "state", "created_at", "note")
        table([{name: str(row.get(name) or "") for name in names} for row in rows], spare="note")
    else:
        console().print("Every task that the vendors list has its job here.")
