"""
Batches: many jobs from one file, safe to run twice.

Each row has a key: its own `id`, else its content and how often that came
before in the file. A key stands for one job for good, so a file that is run
again, or was stopped in the middle, makes only what is missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from service import store
from service.errors import Conflict
from service.jobs.requests import JobRequest, request_job
from service.model import Job
from service.settings import Settings
from service.signing import Encryptor


@dataclass(frozen=True)
class BatchRow:
    """
    One line of a file: the body of a job, and what makes it the same job again.

    `key` outlives an edit of a row that has an id; `content` shows the edit.
    """

    number: int
    body: dict[str, Any]
    key: str
    content: str


def numbered(rows: Iterable[tuple[int, str | None, dict[str, Any]]]) -> list[BatchRow]:
    """Rows with their keys, from line number, `id` (or None) and body of each."""
    seen: Counter[str] = Counter()
    found = []
    for number, own_id, body in rows:
        # Not who hears of it and by which route: that makes no other video.
        paid = {name: body.get(name) for name in ("model", "input", "metadata")}
        content = _digest(json.dumps(paid, sort_keys=True))
        seen[content] += own_id is None
        name = f"id {own_id}" if own_id is not None else f"{content} {seen[content]}"
        found.append(BatchRow(number, body, _digest(name), content))
    return found


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


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
    The job of this row, and whether it is new.

    Raises:
        Conflict: the row's id stands for a job with another content.
    """
    # Two runs of one file at the same time come here one after the other.
    store.accounts.lock(tx, account_id)
    made = store.jobs.of_batch(tx, account_id, row.key)
    if made is None:
        job = request_job(tx, encryptor, settings, account_id, request, now)
        store.jobs.remember_row(tx, job.id, row.key, row.content)
        return job, True
    if made.batch_content != row.content:
        raise Conflict(
            f"row {row.number}: its id was used before, for {made.id} with another content; "
            "give a new job a new id"
        )
    return made, False
