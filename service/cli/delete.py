"""`delete`: erase one job's data."""

from __future__ import annotations

import typer

from service.cli.ask import Request, answer
from service.cli.here import open_here, own_job
from service.cli.jobs import ONE
from service.cli.output import JobArgument, JsonOption, print_json, say
from service.cli.wired import open_wiring
from service.videos.retention import erase_job


def delete(
    job_id: str = JobArgument,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    json_: bool = JsonOption,
) -> None:
    """
    Delete a job's prompt, input, messages and video.

    Its id, times and cost stay.

    Examples:
      clipbell delete job_01a2b3c4
    """

    def whole_here() -> dict[str, str]:
        with open_here().db.read() as tx:
            return {"id": own_job(tx, job_id).id}

    def erase_here() -> None:
        wiring = open_wiring()
        with wiring.db.read() as tx:
            job = own_job(tx, job_id)
        erase_job(wiring.db, wiring.uploads, job, wiring.clock())
        while wiring.units()["remove"]():
            pass

    job_id = answer(Request("GET", ONE, job_id), whole_here)["id"]
    if not yes:
        question = f"Delete prompt, messages and video of {job_id} for good?"
        typer.confirm(question, abort=True, err=True)
    answer(Request("DELETE", ONE, job_id), erase_here)
    if json_:
        print_json({"job_id": job_id, "deleted": True})
    else:
        say(f"The data of {job_id} is deleted. Its id, times and cost stay.")
