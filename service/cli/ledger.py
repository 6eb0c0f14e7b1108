"""`ledger`: what jobs were to cost beside what vendors have charged."""

from __future__ import annotations

import typer

from service import store
from service.cli.ask import Request, answer
from service.cli.errors import print_error
from service.cli.here import acting_account
from service.cli.output import JsonOption, print_list
from service.cli.parsing import moment
from service.cli.wired import open_wiring
from service.formatting import format_difference, format_money, iso
from service.jobs.budget import midnight
from service.jobs.ledger import (
    USUAL_DAYS,
    USUAL_HISTORY,
    LedgerDayJson,
    UnmatchedTaskJson,
    compare_all,
    ledger_day_json,
    unmatched_task_json,
)
from service.jobs.lookup import job_in_url
from service.model import utc_now

SinceOption = typer.Option(
    None, "--since", metavar="TIME", help="Only after this time, or 30min, 6h, 2d ago."
)
UnmatchedOption = typer.Option(
    False, "--unmatched", help="Ask vendors for tasks that no job here has."
)


def ledger(
    since: str = SinceOption,
    unmatched: bool = UnmatchedOption,
    json_: bool = JsonOption,
) -> None:
    """
    Compare estimates with what vendors charged, by day and vendor.

    Examples:
      clipbell ledger --since 30d
      clipbell ledger --unmatched
    """
    if unmatched:
        _list_unmatched(since, json_)
        return

    def here() -> list[LedgerDayJson]:
        wiring, now = open_wiring(), utc_now()
        first = midnight(moment(since, now) if since else now - USUAL_DAYS)
        with wiring.db.read() as tx:
            account_id = acting_account(tx).id
            return [ledger_day_json(day) for day in store.reports.ledger(tx, account_id, first)]

    found: list[LedgerDayJson] = answer(_request("/v1/ledger", since), here)
    rows = [
        {
            "day": day["day"],
            "provider": day["provider"],
            "jobs": f"{day['jobs']} ({day['settled_jobs']} settled)",
            "estimated": format_money(day["estimated"]),
            "reserved": format_money(day["reserved"]),
            "settled": format_money(day["settled"]),
            "difference": format_difference(day["difference"]),
        }
        for day in found
    ]
    print_list(found, rows, json_, none="No job was sent in this time.", spare=("reserved",))


def _request(path: str, since: str | None) -> Request:
    query = {"since": iso(moment(since, utc_now())) if since else None}
    return Request("GET", path, query=query, limit=0)


def _list_unmatched(since: str | None, json_: bool) -> None:
    def here() -> list[UnmatchedTaskJson]:
        wiring, now = open_wiring(), utc_now()
        first = moment(since, now) if since else now - USUAL_HISTORY
        job_of = job_in_url(wiring.signer, now)
        tasks, troubles = compare_all(wiring.db, wiring.providers, wiring.settings, first, job_of)
        for name, trouble in troubles.items():
            print_error(f"{name} could not be asked: {trouble}")
        return [unmatched_task_json(task) for task in tasks]

    found: list[UnmatchedTaskJson] = answer(_request("/v1/ledger/unmatched", since), here)
    names = ("provider", "task_id", "state", "created_at", "note")
    rows = [{name: str(row.get(name) or "") for name in names} for row in found]
    none = "Every task that the vendors list has its job here."
    print_list(found, rows, json_, none=none, spare=("note",))
