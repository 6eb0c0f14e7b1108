"""`submit --file`: a batch of jobs from a CSV or JSON Lines file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress
from sqlalchemy import Connection

from service.bootstrap import Wiring
from service.cli.account_option import acting_account
from service.cli.output import console, errors, open_wiring, print_error, print_json
from service.cli.parsing import as_input
from service.errors import ClipbellError, InvalidInput
from service.formatting import format_price
from service.jobs.batches import BatchRow, numbered, request_once
from service.jobs.requests import FIELDS, JobRequest, check_request, planned_job
from service.model import Account, Job

#: So many rows are committed at once.
CHUNK = 50
#: Above this many, the remaining faults are counted only.
SHOWN_FAULTS = 20
RawRow = tuple[int, str | None, dict[str, Any]]


class FileError(ClipbellError):
    """A batch file cannot be used; the message says where and why."""


def submit_file(path: Path, defaults: dict[str, Any], dry_run: bool, json_: bool) -> None:
    """
    Send every row that was not sent before; nothing at all when one row is wrong.

    Args:
        defaults: what a row that does not say it gets: `model`, `provider`, `notify`.
    """
    wiring = open_wiring()
    rows = numbered(_read(path, defaults))
    asked = _checked(wiring, rows)
    account = acting_account(wiring)
    if dry_run:
        _tell_price(wiring, account, asked, json_)
        return
    made = _submit(wiring, account, list(zip(rows, asked, strict=True)))
    new = sum(is_new for _, is_new in made)
    if json_:
        jobs = [{"id": job.id, "row": r.number} for (job, _), r in zip(made, rows, strict=True)]
        print_json({"submitted": new, "repeated": len(made) - new, "jobs": jobs})
        return
    again = f"; {len(made) - new} were sent before" if new < len(made) else ""
    console().print(f"{new} jobs sent{again}. `clipbell jobs` lists them.")


def _read(path: Path, defaults: dict[str, Any]) -> Iterator[RawRow]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileError(f"{path}: must end in {' or '.join(_READERS)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8: save it as UTF-8 and run again") from None
    empty = True
    for number, row in reader(text):
        empty = False
        own_id = row.pop("id", None)
        body = defaults | _body(row)
        yield number, None if own_id in (None, "") else str(own_id), body
    if empty:
        raise FileError(f"{path} holds no row")


def _body(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the body of a job: what is no field of a job is input of the model."""
    body = {name: value for name, value in row.items() if name in FIELDS}
    inputs = {name: value for name, value in row.items() if name not in FIELDS}
    return {**body, "input": inputs} if "input" not in body else body | inputs


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    table = csv.DictReader(text.splitlines(keepends=True), restkey="", strict=True)
    try:
        for row in table:
            if "" in row:
                raise FileError(f"row {table.line_num}: has more cells than the header has names")
            filled = {name.strip(): cell for name, cell in row.items() if cell not in (None, "")}
            yield table.line_num, _typed(filled)
    except csv.Error as error:
        raise FileError(f"row {table.line_num}: {error}") from None


def _typed(cells: dict[str, str]) -> dict[str, Any]:
    """Cells are text: numbers where the model wants them, lists by blanks."""
    row: dict[str, Any] = {}
    for name, cell in cells.items():
        if name == "notify":
            row[name] = cell.split()
        else:
            own = name in ("id", *FIELDS)
            row[name] = cell if own else as_input(cells.get("model", ""), name, cell.split(" "))
    return row


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise FileError(f"row {number}: is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise FileError(f"row {number}: must be a JSON object")
        yield number, row


_READERS: dict[str, Callable[[str], Iterator[tuple[int, dict[str, Any]]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
}


def _checked(wiring: Wiring, rows: list[BatchRow]) -> list[JobRequest]:
    """Every row as a request; all faults of the file at once."""
    asked: list[JobRequest] = []
    faults: list[str] = []
    for row in rows:
        try:
            asked.append(check_request(row.body, wiring.channels, wiring.providers))
        except InvalidInput as error:
            faults += [f"row {row.number}: {f.pointer or '/'}: {f.message}" for f in error.faults]
    if faults:
        for fault in faults[:SHOWN_FAULTS]:
            print_error(fault)
        raise FileError(f"{len(faults)} faults, nothing was sent: fix them and run again")
    return asked


def _tell_price(wiring: Wiring, account: Account, asked: list[JobRequest], json_: bool) -> None:
    now = wiring.clock()
    jobs = [planned_job(wiring.settings, account.id, one, now) for one in asked]
    unknown = sum(job.estimated_max is None for job in jobs)
    low, high = (
        round(sum(getattr(job, name) or 0.0 for job in jobs), 2)
        for name in ("estimated_min", "estimated_max")
    )
    if json_:
        print_json({"jobs": len(jobs), "min": low, "max": high, "without_price": unknown})
        return
    more = f", {unknown} of them without a known price" if unknown else ""
    console().print(f"{len(jobs)} jobs, {format_price(low, high)}{more}. Nothing was sent.")


def _submit(
    wiring: Wiring, account: Account, work: list[tuple[BatchRow, JobRequest]]
) -> list[tuple[Job, bool]]:
    made: list[tuple[Job, bool]] = []
    with Progress(console=errors()) as progress:
        bar = progress.add_task("sending", total=len(work))
        for start in range(0, len(work), CHUNK):
            with wiring.db.write() as tx:
                chunk = work[start : start + CHUNK]
                made += [_request(tx, wiring, account, row, asked) for row, asked in chunk]
            progress.update(bar, completed=len(made))
    return made


def _request(
    tx: Connection, wiring: Wiring, account: Account, row: BatchRow, asked: JobRequest
) -> tuple[Job, bool]:
    now = wiring.clock()
    asked = replace(asked, input=wiring.uploads.save(asked.model, asked.input, now))
    return request_once(tx, wiring.encryptor, wiring.settings, account.id, row, asked, now)
