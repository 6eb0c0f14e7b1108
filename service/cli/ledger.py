"""`ledger`: what jobs were to cost beside what vendors have charged."""

from __future__ import annotations

import typer

from service import store
from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here
from service.cli.lazy import imported
from service.cli.output import JsonOption, print_list
from service.cli.parsing import moment
from service.formatting import format_difference, format_money, iso
from service.jobs.budget import midnight
from service.jobs.ledger import USUAL_DAYS, LedgerDayJson, ledger_day_json
from service.model import utc_now

SinceOption = typer.Option(
    None, "--since", metavar="TIME", help="Only after this time, or 30min, 6h, 2d ago."
)
UnmatchedOption = typer.Option(
    False, "--unmatched", help="Ask vendors for tasks that belong to no job here."
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
        # It brings the vendors and their HTTP client.
        imported("unmatched:list_unmatched")(since, json_)
        return

    def here() -> list[LedgerDayJson]:
        opened, now = open_here(), utc_now()
        first = midnight(moment(since, now) if since else now - USUAL_DAYS)
        with opened.db.read() as tx:
            account_id = acting_account(tx).id
            return [ledger_day_json(day) for day in store.reports.ledger(tx, account_id, first)]

    found: list[LedgerDayJson] = answer(request_for("/v1/ledger", since), here)
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


def request_for(path: str, since: str | None) -> Request:
    """The question for what happened since; for the usual time where that is None."""
    query = {"since": iso(moment(since, utc_now())) if since else None}
    return Request("GET", path, query=query, limit=0)
