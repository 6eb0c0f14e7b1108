"""`submit --file`: a batch of jobs from a CSV or JSON Lines file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import typer
from rich.progress import track

from service.bootstrap import Wiring
from service.cli.ask import Request, answer
from service.cli.batch_file import FileError, read_rows
from service.cli.errors import print_error
from service.cli.here import acting_account
from service.cli.output import errors, print_json, say
from service.cli.wired import open_wiring
from service.errors import ClipbellError, FieldError, InvalidInput
from service.formatting import count_of, format_price
from service.jobs.batches import (
    MOST_ROWS,
    BatchRow,
    PlanJson,
    RowJson,
    check_rows,
    numbered,
    plan_rows,
    request_rows,
)

#: Characters of JSON in one request, unless a single row has more.
REQUEST_LENGTH = 4_000_000
#: Above this many, the remaining faults are counted only.
SHOWN_FAULTS = 20
#: How often a part of a file is sent to another machine: to be checked, and to be carried out.
CHECK_TRIES, SEND_TRIES = 3, 8
PATH = "/v1/batches"
#: Where a fault is: the place of its row, and the field.
_PLACE = re.compile("/rows/([0-9]+)/(?:job/?)?(?:input/)?(.*)")


def submit_file(path: Path, defaults: dict[str, Any], dry_run: bool, json_: bool) -> None:
    """
    Send every row that was not sent before; nothing at all when one row is wrong.

    Args:
        defaults: `model`, `provider`, `notify` of the rows that name none.
    """
    rows = numbered(read_rows(path, defaults))
    parts = list(_parts(rows))
    plans = _checked(parts, _faults_of_ids(rows))
    if dry_run:
        _print_price(plans, json_)
    else:
        _send(parts, json_)


def _parts(rows: Sequence[BatchRow]) -> Iterator[list[BatchRow]]:
    """The rows in parts, each of which is one request."""
    part: list[BatchRow] = []
    length = 0
    for row in rows:
        size = len(json.dumps(row.body))
        if part and (len(part) == MOST_ROWS or length + size > REQUEST_LENGTH):
            yield part
            part, length = [], 0
        part.append(row)
        length += size
    yield part


def _faults_of_ids(rows: Sequence[BatchRow]) -> list[str]:
    """The rows that have the id of another one above them, which says something else."""
    first: dict[str, BatchRow] = {}
    for row in rows:
        first.setdefault(row.key, row)
    return [
        f"row {row.number}: id: row {first[row.key].number} has the same id"
        for row in rows
        if row.content != first[row.key].content
    ]


def _checked(parts: Sequence[list[BatchRow]], faults: list[str]) -> list[PlanJson]:
    """What each part would make. Raises FileError, after all faults are printed."""
    plans: list[PlanJson] = []
    for part in _tracked(parts, "checking"):
        try:
            request = Request("POST", f"{PATH}/dry-run", body=_body(part), tries=CHECK_TRIES)
            plans.append(answer(request, partial(_plan, part)))
        except InvalidInput as error:
            faults += [_fault_of_row(part, one) for one in error.faults]
    for fault in faults[:SHOWN_FAULTS]:
        print_error(fault)
    if faults:
        raise FileError(f"{count_of(len(faults), 'error')}; nothing was sent. Fix and run again")
    return plans


def _tracked(parts: Sequence[list[BatchRow]], verb: str) -> Iterator[list[BatchRow]]:
    out = errors()
    yield from track(parts, verb, console=out, disable=not out.is_terminal)


def _body(part: Sequence[BatchRow]) -> dict[str, Any]:
    return {"rows": [{"key": row.key, "job": row.body} for row in part]}


@cache
def _wiring() -> Wiring:
    return open_wiring()


def _plan(part: Sequence[BatchRow]) -> PlanJson:
    wiring = _wiring()
    work = check_rows(part, wiring.channels, wiring.market())
    with wiring.db.read() as tx:
        account = acting_account(tx)
    return plan_rows(wiring.db, wiring.settings, account.id, work, wiring.clock())


def _fault_of_row(part: Sequence[BatchRow], fault: FieldError) -> str:
    """A fault with the row's number in the file, and its column."""
    place = _PLACE.fullmatch(fault.pointer)
    if place is None:
        return f"{fault.pointer}: {fault.message}"
    column = {"": "", "key": "id: "}.get(place[2], f"{place[2]}: ")
    return f"row {part[int(place[1])].number}: {column}{fault.message}"


def _print_price(plans: Sequence[PlanJson], json_: bool) -> None:
    """Print what the new jobs would cost together, in US dollars."""
    jobs, repeated = (sum(plan[name] for plan in plans) for name in ("jobs", "repeated"))
    unknown = sum(plan["without_price"] for plan in plans)
    low = round(sum(plan["estimated_min"] for plan in plans), 2)
    high = round(sum(plan["estimated_max"] for plan in plans), 2)
    if json_:
        shown = {"jobs": jobs, "repeated": repeated, "min": low, "max": high}
        print_json(shown | {"without_price": unknown})
        return
    again = f"; sent before: {repeated}" if repeated else ""
    more = f", {unknown} of them without a known price" if unknown else ""
    say(f"{count_of(jobs, 'job')}, {format_price(low, high)}{more}{again}. Nothing was sent.")


def _send(parts: Sequence[list[BatchRow]], json_: bool) -> None:
    """Store the jobs, a part at a time, and print how many are new."""
    made: list[RowJson] = []
    with _saying_how_far(made):
        for part in _tracked(parts, "sending"):
            request = Request("POST", PATH, body=_body(part), tries=SEND_TRIES)
            try:
                made += answer(request, partial(_request, part))["data"]
            except InvalidInput as error:
                lines = [_fault_of_row(part, one) for one in error.faults]
                raise FileError("; ".join(lines)) from None
    numbers = [row.number for part in parts for row in part]
    new = sum(not one["repeated"] for one in made)
    if json_:
        shown = [{"id": o["job_id"], "row": n} for o, n in zip(made, numbers, strict=True)]
        print_json({"submitted": new, "repeated": len(made) - new, "jobs": shown})
        return
    again = f"; sent before: {len(made) - new}" if new < len(made) else ""
    say(f"{count_of(new, 'job')} sent{again}. `clipbell jobs` lists them.")


@contextmanager
def _saying_how_far(made: Sequence[RowJson]) -> Iterator[None]:
    """An end before that of the file says how to go on."""
    again = "run it again to send the rest: no row is sent twice"
    try:
        yield
    except KeyboardInterrupt:
        print_error(f"stopped after {count_of(len(made), 'row')}; {again}")
        raise typer.Exit(130) from None
    except ClipbellError as error:
        raise FileError(f"{error}; stopped after {count_of(len(made), 'row')}: {again}") from None


def _request(part: Sequence[BatchRow]) -> dict[str, list[RowJson]]:
    w = _wiring()
    work = check_rows(part, w.channels, w.market())
    with w.db.read() as tx:
        account = acting_account(tx)
    made = request_rows(w.db, w.encryptor, w.settings, w.uploads, account.id, work, w.clock())
    return {"data": made}
