"""`submit --file`: a batch of jobs from a CSV or JSON Lines file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import track

from service.bootstrap import Wiring
from service.cli.batch_file import FileError, read_rows
from service.cli.errors import print_error
from service.cli.here import acting_account
from service.cli.output import errors, print_json, say
from service.cli.wired import open_wiring
from service.errors import InvalidInput
from service.formatting import count_of, format_price
from service.jobs.batches import BatchRow, numbered, request_once
from service.jobs.requests import (
    JobRequest,
    check_request,
    planned_job,
    with_saved_images,
)
from service.model import Account, Job

#: Rows per transaction.
CHUNK = 50
#: Above this many, the remaining faults are counted only.
SHOWN_FAULTS = 20


def submit_file(path: Path, defaults: dict[str, Any], dry_run: bool, json_: bool) -> None:
    """
    Send every row that was not sent before; nothing at all when one row is wrong.

    Args:
        defaults: `model`, `provider`, `notify` of the rows that name none.
    """
    wiring = open_wiring()
    rows = numbered(read_rows(path, defaults))
    job_requests: list[JobRequest] = []
    faults: list[str] = []
    for row in rows:
        try:
            job_requests.append(check_request(row.body, wiring.channels, wiring.market()))
        except InvalidInput as error:
            faults += [f"row {row.number}: {_column(f.pointer)}{f.message}" for f in error.faults]
    for fault in faults[:SHOWN_FAULTS]:
        print_error(fault)
    if faults:
        raise FileError(f"{count_of(len(faults), 'error')}; nothing was sent. Fix and run again")
    with wiring.db.read() as tx:
        account = acting_account(tx)
    if dry_run:
        _print_price(wiring, account, job_requests, json_)
    else:
        _submit(wiring, account, list(zip(rows, job_requests, strict=True)), json_)


def _column(pointer: str) -> str:
    """The column of a field, as the start of a message: ``duration: ``."""
    name = pointer.removeprefix("/input/").removeprefix("/")
    return f"{name}: " if name else ""


def _print_price(
    wiring: Wiring, account: Account, job_requests: list[JobRequest], json_: bool
) -> None:
    """Print what the jobs would cost together, in US dollars."""
    now = wiring.clock()
    jobs = [planned_job(wiring.settings, account.id, request, now) for request in job_requests]
    unknown = sum(job.estimated_max is None for job in jobs)
    low, high = (
        round(sum(getattr(job, name) or 0.0 for job in jobs), 2)
        for name in ("estimated_min", "estimated_max")
    )
    if json_:
        print_json({"jobs": len(jobs), "min": low, "max": high, "without_price": unknown})
        return
    more = f", {unknown} of them without a known price" if unknown else ""
    say(f"{count_of(len(jobs), 'job')}, {format_price(low, high)}{more}. Nothing was sent.")


def _submit(
    wiring: Wiring, account: Account, work: list[tuple[BatchRow, JobRequest]], json_: bool
) -> None:
    """Store the jobs, a chunk per transaction, and print how many are new."""
    chunks = [work[start : start + CHUNK] for start in range(0, len(work), CHUNK)]
    jobs: list[tuple[Job, bool]] = []
    for chunk in track(chunks, "sending", console=errors()):
        uploaded = [
            (row, with_saved_images(wiring.uploads, one, wiring.clock())) for row, one in chunk
        ]
        with wiring.db.write() as tx:
            jobs += [
                request_once(
                    tx, wiring.encryptor, wiring.settings, account.id, row, one, wiring.clock()
                )
                for row, one in uploaded
            ]
    new = sum(is_new for _, is_new in jobs)
    if json_:
        numbers = [row.number for row, _ in work]
        shown = [{"id": j.id, "row": n} for (j, _), n in zip(jobs, numbers, strict=True)]
        print_json({"submitted": new, "repeated": len(jobs) - new, "jobs": shown})
        return
    again = f"; sent before: {len(jobs) - new}" if new < len(jobs) else ""
    say(f"{count_of(new, 'job')} sent{again}. `clipbell jobs` lists them.")
