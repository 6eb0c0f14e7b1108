"""
Batches: many jobs from one file, safe to run twice.

Each row has a key: its own `id`, else its content with the number of its repetitions
before it in the file. A key belongs to one job for good, so a file that is run
again, or was stopped in the middle, makes only the missing jobs.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.channels.base import Channel
from service.errors import FieldErrors, InvalidInput, got
from service.jobs.choice import Market
from service.jobs.requests import (
    JobRequest,
    check_request,
    planned_job,
    request_job,
    with_saved_images,
)
from service.model import Job
from service.model.json_types import JobId, about
from service.settings import Settings
from service.signing import Encryptor
from service.store.database import Database

if TYPE_CHECKING:
    # This import loads the HTTP client, which few verbs need.
    from service.storage.uploads import UploadStore

#: The most rows of a request; they are one transaction.
MOST_ROWS = 50
KEY = r"^[!-~]{1,40}$"


@dataclass(frozen=True)
class BatchRow:
    """
    One row of a file: the body of a job, and the key that identifies the job.

    If the row has an id, an edit does not change `key`, but it changes `content`.
    """

    number: int
    body: dict[str, Any]
    key: str
    content: str


class Checked(NamedTuple):
    """A valid row."""

    row: BatchRow
    request: JobRequest


class PlanJson(TypedDict):
    """A dry run of rows; nothing was sent."""

    dry_run: Annotated[Literal[True], about("Always true.")]
    jobs: Annotated[int, about("New jobs.", 2)]
    repeated: Annotated[int, about("Rows whose job exists already.", 0)]
    estimated_min: Annotated[
        float, about("The lowest total price of the new jobs, in US dollars.", 0.44)
    ]
    estimated_max: Annotated[float, about("The highest total price, in US dollars.", 0.88)]
    without_price: Annotated[int, about("New jobs without a stated price.", 0)]


class RowJson(TypedDict):
    """The job of a row."""

    key: Annotated[str, about("The row's key.", "order-17")]
    job_id: JobId
    repeated: Annotated[bool, about("Whether an earlier request created it.", False)]


def numbered(rows: Iterable[tuple[int, str | None, dict[str, Any]]]) -> list[BatchRow]:
    """Rows with their keys, from tuples of line number, `id` (or None) and body."""
    seen: Counter[str] = Counter()
    found = []
    for number, own_id, body in rows:
        content = _content(body)
        seen[content] += own_id is None
        name = f"id {own_id}" if own_id is not None else f"{content} {seen[content]}"
        found.append(BatchRow(number, body, _digest(name), content))
    return found


def _content(body: Mapping[str, Any]) -> str:
    # Without the recipients and the vendor: they do not change the video.
    paid = {name: body.get(name) for name in ("model", "input", "metadata")}
    return _digest(json.dumps(paid, sort_keys=True))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def parse_rows(body: Any) -> list[BatchRow]:
    """
    The rows of a request's body; `number` is the index of a row, from 0.

    Raises:
        InvalidInput: the body has another shape.
    """
    if not isinstance(body, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    errors, given = FieldErrors(), body.get("rows")
    for name in body.keys() - {"rows"}:
        errors.add(f"/{name}", "unknown_field", "takes only rows")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ROWS:
        errors.add("/rows", "wrong_type", f"must be a list of 1 to {MOST_ROWS}{got(given)}")
        given = []
    rows: list[BatchRow] = []
    contents: dict[str, str] = {}
    for place, one in enumerate(given):
        if not isinstance(one, dict) or one.keys() != {"key", "job"}:
            errors.add(f"/rows/{place}", "wrong_type", 'must be {"key": "…", "job": {…}}')
        elif not isinstance(one["key"], str) or not re.fullmatch(KEY, one["key"]):
            message = "must have 1 to 40 characters, ASCII without blanks" + got(one["key"])
            errors.add(f"/rows/{place}/key", "wrong_format", message)
        elif not isinstance(one["job"], dict):
            message = "must be an object" + got(one["job"])
            errors.add(f"/rows/{place}/job", "wrong_type", message)
        else:
            row = BatchRow(place, one["job"], one["key"], _content(one["job"]))
            if contents.setdefault(row.key, row.content) != row.content:
                message = "is that of an earlier row with another content; give each job its own"
                errors.add(f"/rows/{place}/key", "used", message)
            rows.append(row)
    errors.raise_any()
    return rows


def check_rows(
    rows: Sequence[BatchRow], channels: Mapping[str, Channel], market: Market
) -> list[Checked]:
    """
    Check all rows, and return them with their requests.

    Raises:
        InvalidInput: all faults of all rows, such as ``/rows/3/job/input/duration`` of the fourth.
    """
    errors = FieldErrors()
    checked = []
    for place, row in enumerate(rows):
        with errors.collect(f"/rows/{place}/job"):
            checked.append(Checked(row, check_request(row.body, channels, market)))
    errors.raise_any()
    return checked


def plan_rows(
    db: Database, settings: Settings, account_id: str, work: Sequence[Checked], now: datetime
) -> PlanJson:
    """
    The number and price of the jobs that these rows would make; nothing is written.

    Raises:
        InvalidInput: a row's key belongs to a job with another content.
    """
    known = _known(db, account_id, work)
    new = {one.row.key: one.request for one in work if one.row.key not in known}
    jobs = [planned_job(settings, account_id, request, now) for request in new.values()]
    return {
        "dry_run": True,
        "jobs": len(new),
        "repeated": len(work) - len(new),
        "estimated_min": round(sum(job.estimated_min or 0.0 for job in jobs), 2),
        "estimated_max": round(sum(job.estimated_max or 0.0 for job in jobs), 2),
        "without_price": sum(job.estimated_max is None for job in jobs),
    }


def request_rows(
    db: Database,
    encryptor: Encryptor,
    settings: Settings,
    uploads: UploadStore,
    account_id: str,
    work: Sequence[Checked],
    now: datetime,
) -> list[RowJson]:
    """
    Get or create the job of each row; one transaction creates all new ones.

    Raises:
        InvalidInput: a row's key belongs to a job with another content; nothing is created.
    """
    known = _known(db, account_id, work)
    ready = [
        one
        if one.row.key in known
        else one._replace(request=with_saved_images(uploads, one.request, now))
        for one in work
    ]
    errors = FieldErrors()
    made: list[RowJson] = []
    with db.write() as tx:
        for place, (row, request) in enumerate(ready):
            with errors.collect(f"/rows/{place}"):
                job, new = request_once(tx, encryptor, settings, account_id, row, request, now)
                made.append({"key": row.key, "job_id": job.id, "repeated": not new})
        errors.raise_any()
    return made


def _known(db: Database, account_id: str, work: Sequence[Checked]) -> dict[str, Job]:
    """The existing jobs, by key. Raises InvalidInput for those with another content."""
    with db.read() as tx:
        known = store.jobs.of_batches(tx, account_id, [one.row.key for one in work])
    errors = FieldErrors()
    for place, one in enumerate(work):
        job = known.get(one.row.key)
        if job and job.batch_content != one.row.content:
            errors.add(f"/rows/{place}/key", "used", _used_before(job))
    errors.raise_any()
    return known


def _used_before(job: Job) -> str:
    return f"was used before, for {job.id} with another content; give a new job another one"


def request_once(
    tx: Connection,
    encryptor: Encryptor,
    settings: Settings,
    account_id: str,
    row: BatchRow,
    request: JobRequest,
    now: datetime,
) -> tuple[Job, bool]:
    """
    Get or create the job of a row; the bool says whether it is new.

    Raises:
        InvalidInput: the row's key belongs to a job with another content.
    """
    # Two simultaneous runs of one file pass here one after the other.
    store.accounts.lock(tx, account_id)
    made = store.jobs.of_batch(tx, account_id, row.key)
    if made is None:
        job = request_job(tx, encryptor, settings, account_id, request, now)
        store.jobs.remember_row(tx, job.id, row.key, row.content)
        return job, True
    if made.batch_content != row.content:
        raise InvalidInput.at("/key", "used", _used_before(made))
    return made, False
