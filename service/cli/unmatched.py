"""`ledger --unmatched`: tasks that the vendors list and no job here has."""

from __future__ import annotations

from service.cli.ask import answer
from service.cli.errors import print_error
from service.cli.ledger import request_for
from service.cli.output import print_list
from service.cli.parsing import moment
from service.cli.wired import open_wiring
from service.jobs.ledger import USUAL_HISTORY, UnmatchedTaskJson, compare_all, unmatched_task_json
from service.jobs.lookup import job_in_url
from service.model import utc_now


def list_unmatched(since: str | None, json_: bool) -> None:
    """Print the tasks that no job here has."""

    def here() -> list[UnmatchedTaskJson]:
        wiring, now = open_wiring(), utc_now()
        first = moment(since, now) if since else now - USUAL_HISTORY
        job_of = job_in_url(wiring.signer, now)
        tasks, troubles = compare_all(wiring.db, wiring.providers, wiring.settings, first, job_of)
        for name, trouble in troubles.items():
            print_error(f"{name} gave no list: {trouble}")
        return [unmatched_task_json(task) for task in tasks]

    found: list[UnmatchedTaskJson] = answer(request_for("/v1/ledger/unmatched", since), here)
    names = ("provider", "task_id", "state", "created_at", "note")
    rows = [{name: str(row.get(name) or "") for name in names} for row in found]
    none = "Every task in the vendors' lists belongs to a job here."
    print_list(found, rows, json_, none=none, spare=("note",))
