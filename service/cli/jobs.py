"""`jobs` and `show`: what was asked for, and what became of it."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.cli.ask import Request, answer
from service.cli.completion import models
from service.cli.here import acting_account, jobs_json, open_here, own_job
from service.cli.output import (
    JobArgument,
    JsonOption,
    ago,
    console,
    print_json,
    print_list,
    say,
    table,
)
from service.cli.parsing import moment
from service.cli.tables import in_colour
from service.formatting import iso
from service.jobs.timeline import timeline
from service.messages.content import cut, plain
from service.model import JobState, utc_now
from service.model.job_json import JobErrorJson, JobJson

ONE = "/v1/jobs/{}"
SinceOption = typer.Option(
    None, metavar="TIME", help="Only jobs created since: a time, or 30min, 6h, 2d ago."
)
StartOption = typer.Option(
    None, "--q", "-q", metavar="START", help="Only job or task ids that start with this."
)


def print_job(shown: JobJson, json_: bool) -> None:
    """Print the job with its link, or with its error."""
    if json_:
        print_json(shown)
        return
    line = (shown["id"], in_colour(shown["state"]), f" {shown['model']}")
    console().print(*line, sep="  ", soft_wrap=True)
    if shown["video"]:
        say(shown["video"]["url"] or "The video is no longer stored.")
    if shown["error"]:
        say(error_text(shown["error"]))


def error_text(error: JobErrorJson) -> str:
    """Why a job failed or waits, with what to do."""
    return f"{error['code']}: {plain(error['message']).rstrip('.')}. {error['hint']}"


def list_jobs(
    state: JobState = typer.Option(None, help="Only jobs in this state."),
    model: str = typer.Option(None, help="Only jobs of this model.", autocompletion=models),
    since: str = SinceOption,
    q: str = StartOption,
    limit: int = typer.Option(20, min=1, max=1000, metavar="N", help="Number of jobs."),
    json_: bool = JsonOption,
) -> None:
    """
    List the newest jobs.

    Examples:
      clipbell jobs --state failed --since 2d
      clipbell jobs --model kling-2 --limit 100 --json
    """
    begin = moment(since, utc_now()) if since else None
    filters: dict[str, Any] = {"state": state, "model": model, "since": begin}

    def here() -> list[JobJson]:
        opened = open_here()
        with opened.db.read() as tx:
            page = store.job_lists.page(tx, acting_account(tx).id, limit, prefix=q, **filters)
            return jobs_json(opened, page)

    query = filters | {"q": q, "since": iso(begin)}
    found: list[JobJson] = answer(Request("GET", "/v1/jobs", query=query, limit=limit), here)
    rows = [
        {
            "job": job["id"],
            "state": str(job["state"]),
            "model": job["model"],
            "created": ago(job["created_at"]),
            "prompt": cut(plain(job["input"].get("prompt")), 60),
        }
        for job in found
    ]
    none = "No jobs yet: try `clipbell submit kling-2-5-turbo-pro --prompt …`."
    if q or any(filters.values()):
        none = "No job matches: `clipbell jobs` shows all."
    print_list(found, rows, json_, none=none, spare=("created",), cut={"prompt": 24})


def show(job_id: str = JobArgument, json_: bool = JsonOption) -> None:
    """
    Show one job with its timeline.

    Examples:
      clipbell show job_01a2b3c4
    """

    def here() -> JobJson:
        opened = open_here()
        with opened.db.read() as tx:
            job = own_job(tx, job_id)
        return jobs_json(opened, [job])[0]

    def timeline_here() -> dict[str, Any]:
        with open_here().db.read() as tx:
            return {"data": timeline(tx, own_job(tx, job_id))}

    job = answer(Request("GET", ONE, job_id), here)
    entries = answer(Request("GET", f"{ONE}/timeline", job["id"]), timeline_here)["data"]
    if json_:
        print_json({**job, "timeline": entries})
        return
    print_job(job, False)
    if prompt := plain(job["input"].get("prompt")):
        say(prompt)
    rows = [(e["at"][:19].replace("T", " "), e["kind"], e["message"]) for e in entries]
    table([{"at (UTC)": at, "what": kind, "message": text} for at, kind, text in rows])
