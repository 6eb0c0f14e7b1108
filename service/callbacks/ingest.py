"""
The receiver's writer: it stores callbacks durably before the answer, many in one commit.

One writer thread per process takes whatever has queued up and commits it as
one transaction, so that sixteen callbacks cost one fsync. It uses plain SQL, since
this is the one path where every microsecond is multiplied by a provider's
burst. A full queue refuses with `Busy` instead of growing. Rows that nobody waits for
(refusals, uses of keys) are collected and written by the next commit.
"""

from __future__ import annotations

import hashlib
import json
import queue
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Connection

from service.errors import Busy, DatabaseUnavailable, NotFound
from service.model import URL_CHECK, CallbackState, new_id
from service.store.callbacks import COUNT, FORGET, LISTED, REJECT
from service.store.database import Database
from service.store.work import call_for

#: After a commit of several rows, the next one waits this long for more rows, and again up to
#: this often while more arrive. A commit costs as much as the receipt of many callbacks.
GATHER_SECONDS = 0.002
GATHER_TIMES = 3
#: Rows that nobody waits for are written after this at the latest.
ASIDE_SECONDS = 0.2
QUEUE_LENGTH = 1000
BATCH = 64
#: Longer than the database's time limit for a commit, and short enough for the vendor.
COMMIT_SECONDS = 8.0
#: The most different callbacks, and the most bytes, stored for one job. No vendor sends
#: more than a few; other holders of the URL may.
KEPT_PER_JOB = 1000
KEPT_BYTES_PER_JOB = 4 * 1024 * 1024
#: A job with more callbacks than these is polled after this time.
POLL_SECONDS = 30.0
#: The precision of the last use of a key.
USE_SECONDS = 60.0

#: The existing jobs, and the callbacks stored for each, in one statement: each is a round trip.
_KNOWN = """
SELECT jobs.id, COUNT(callbacks.id),
    COALESCE(SUM(LENGTH(callbacks.body) + LENGTH(CAST(callbacks.headers AS TEXT))), 0)
FROM jobs LEFT JOIN callbacks ON callbacks.job_id = jobs.id
WHERE jobs.id IN ({}) GROUP BY jobs.id
"""
_DIGESTS = "SELECT job_id, digest FROM callbacks WHERE job_id IN ({})"
#: A claim ends then at the latest, so two polls are further apart than this.
_POLL = """
UPDATE jobs SET due_at = :soon
WHERE id = :job_id AND state = 'submitted' AND due_at > :soon
"""
#: All rows of a commit in one statement: on PostgreSQL one for each would take most of the time.
_INSERT = """
INSERT INTO callbacks
    (id, job_id, provider, digest, headers, body, repeats, state, note, claims,
     due_at, received_at)
VALUES {}
ON CONFLICT (job_id, digest) DO UPDATE SET
    repeats = callbacks.repeats + 1 + excluded.repeats,
    state = CASE callbacks.state WHEN 'ignored' THEN excluded.state ELSE callbacks.state END,
    due_at = CASE callbacks.state WHEN 'ignored' THEN excluded.due_at ELSE callbacks.due_at END
"""
_VALUES = itemgetter(
    *("id", "job_id", "provider", "digest", "headers", "body", "repeats", "state", "note"),
    *("claims", "due_at", "received_at"),
)
_USED = """
UPDATE api_keys SET last_used = :at
WHERE id = :id AND (last_used IS NULL OR last_used < :at)
"""


@dataclass
class _Waiting:
    """A queued row. After the commit, `done` resolves to True if its job exists, else False."""

    row: dict[str, Any]
    kind: Literal["callback", "url check", "aside"] = "callback"
    done: Future[bool] = field(default_factory=Future)


class _Aside:
    """Rows for the next commit that nobody waits for: the newest refusals, counts, uses of keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._empty()

    def _empty(self) -> None:
        self.refusals: deque[dict[str, Any]] = deque(maxlen=LISTED)
        self.counts: Counter[str] = Counter()
        self.uses: dict[str, dict[str, Any]] = {}
        self._is_empty = True

    def add_refusal(self, row: dict[str, Any]) -> bool:
        """Add a refusal. Returns whether it is the first since the last commit."""
        with self._lock:
            self.refusals.append(row)
            self.counts[row["reason"]] += 1
            return self._first()

    def add_use(self, key_id: str, at: datetime | str) -> bool:
        """Add the use of a key. Returns whether it is the first row since the last commit."""
        with self._lock:
            self.uses[key_id] = {"id": key_id, "at": at}
            return self._first()

    def _first(self) -> bool:
        first, self._is_empty = self._is_empty, False
        return first

    def take(self) -> tuple[list[dict[str, Any]], Counter[str], list[dict[str, Any]]]:
        """Remove and return all: the refusals to list, the counts by reason and the uses."""
        with self._lock:
            taken = [*self.refusals], self.counts, [*self.uses.values()]
            self._empty()
        return taken

    def put_back(
        self, refusals: list[dict[str, Any]], counts: Counter[str], uses: list[dict[str, Any]]
    ) -> None:
        """Put rows back that could not be written, for a later commit."""
        with self._lock:
            self.refusals = deque([*refusals, *self.refusals], maxlen=LISTED)
            self.counts.update(counts)
            self.uses = {use["id"]: use for use in uses} | self.uses


class Ingest:
    """The writer of callbacks; `insert` returns when the bytes are on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mark = "?" if database.is_sqlite else "%s"
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._used: dict[str, datetime] = {}
        self._aside = _Aside()

    def insert(
        self, job_id: str, provider: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> None:
        """
        Store one callback durably; identical bytes for one job count as a repeat.

        A callback beyond the limits of its job is only counted, and the job is polled.

        Raises:
            NotFound: there is no such job.
            Busy: the queue is full, or the database took too long.
        """
        row = {
            "id": new_id("cbk", now),
            "job_id": job_id,
            "provider": provider,
            "digest": hashlib.sha256(body).hexdigest(),
            "headers": json.dumps(dict(headers)),
            "body": body,
            "state": CallbackState.RECEIVED.value,
            "note": "",
            "claims": 0,
            "due_at": self._moment(now),
            "received_at": self._moment(now),
            "poll_at": self._moment(now + timedelta(seconds=POLL_SECONDS)),
        }
        self._commit_known(_Waiting(row))

    def count_url_check(self, job_id: str) -> None:
        """
        Count a check of the callback URL of a job (GET or HEAD).

        Raises:
            NotFound, Busy: as for a callback.
        """
        self._commit_known(_Waiting({"job_id": job_id, "reason": URL_CHECK}, "url check"))

    def reject(self, reason: str, remote: str, now: datetime) -> None:
        """Count a refusal, and list it for a while. It is written within `ASIDE_SECONDS`."""
        row = {
            "id": new_id("rej", now),
            "reason": reason,
            "remote": remote,
            "received_at": self._moment(now),
        }
        if self._aside.add_refusal(row):
            self._call_for_aside()

    def note_use(self, key_id: str, now: datetime) -> None:
        """Record the use of a key, at most once in `USE_SECONDS`."""
        last = self._used.get(key_id)
        if last and (now - last).total_seconds() < USE_SECONDS:
            return
        self._used[key_id] = now
        if self._aside.add_use(key_id, self._moment(now)):
            self._call_for_aside()

    def _call_for_aside(self) -> None:
        # With a full queue, the next commit comes anyway.
        with suppress(Busy):
            self._put(_Waiting({}, "aside"))

    def close(self) -> None:
        """Write the queued rows and stop; a later row starts the thread again."""
        with self._lock:
            if self._thread:
                self._queue.put(None)
                self._thread.join()
                self._thread = None

    def _moment(self, now: datetime) -> datetime | str:
        if not self._database.is_sqlite:
            return now
        return now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def _commit_known(self, waiting: _Waiting) -> None:
        """Returns once the row of a known job is committed. Raises NotFound or Busy."""
        self._put(waiting)
        try:
            known = waiting.done.result(timeout=COMMIT_SECONDS)
        except Exception as error:
            raise Busy("the callback could not be stored yet", retry_after=5) from error
        if not known:
            raise NotFound("there is no such job")

    def _put(self, waiting: _Waiting) -> None:
        with self._lock:
            # The first row starts it, so always after gunicorn's fork.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
                self._thread.start()
            if self._queue.qsize() >= QUEUE_LENGTH:
                raise Busy("too many callbacks at once")
            self._queue.put(waiting)

    def _run(self) -> None:
        crowded = False
        while (first := self._queue.get()) is not None:
            batch: list[_Waiting | None] = [first]
            if first.kind == "aside":
                with suppress(queue.Empty):
                    batch.append(self._queue.get(timeout=ASIDE_SECONDS))
            elif crowded:
                self._await_more()
            while batch[-1] is not None and len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            self._write([waiting for waiting in batch if waiting is not None])
            if batch[-1] is None:
                return
            crowded = len(batch) > 1

    def _await_more(self) -> None:
        for _ in range(GATHER_TIMES):
            before = self._queue.qsize()
            time.sleep(GATHER_SECONDS)
            if self._queue.qsize() == before:
                return

    def _write(self, batch: list[_Waiting]) -> None:
        """Commit all rows at once; if that fails, each alone, so that a bad row fails alone."""
        try:
            known = self._commit_all(batch)
        except Exception as error:
            # Whatever the error was, the thread continues: the next callback needs it.
            if len(batch) > 1 and not isinstance(error, DatabaseUnavailable):
                for waiting in batch:
                    self._write([waiting])
                return
            for waiting in batch:
                waiting.done.set_exception(error)
            return
        for waiting in batch:
            waiting.done.set_result(waiting.row.get("job_id") in known)

    def _commit_all(self, batch: list[_Waiting]) -> set[str]:
        taken = self._aside.take()
        try:
            return self._commit(batch, *taken)
        except Exception as error:
            # If the one row of a commit is bad, the rows written along with it may be bad too.
            if isinstance(error, DatabaseUnavailable) or len(batch) > 1:
                self._aside.put_back(*taken)
            raise

    def _commit(
        self,
        batch: list[_Waiting],
        rejected: list[dict[str, Any]],
        counts: Counter[str],
        used: list[dict[str, Any]],
    ) -> set[str]:
        kept, checks = (
            [waiting.row for waiting in batch if waiting.kind == kind]
            for kind in ("callback", "url check")
        )
        with self._database.write() as tx:
            taken = self._taken(tx, {row["job_id"] for row in (*kept, *checks)})
            rows = [row for row in kept if row["job_id"] in taken]
            rows, surplus = self._within_bounds(tx, rows, taken)
            # Locks the jobs first, in the same order as the processing of callbacks.
            self._run_many(tx, _POLL, surplus)
            self._insert(tx, rows)
            call_for(tx, "process", len(rows))
            self._run_many(tx, REJECT, rejected)
            counts = counts.copy()
            counts.update(str(row["reason"]) for row in surplus)
            counts.update(str(row["reason"]) for row in checks if row["job_id"] in taken)
            counted = [{"reason": reason, "count": counts[reason]} for reason in sorted(counts)]
            self._run_many(tx, COUNT, counted)
            self._run_many(tx, _USED, sorted(used, key=lambda row: str(row["id"])))
            if rejected:
                tx.exec_driver_sql(FORGET)
        return set(taken)

    def _within_bounds(
        self, tx: Connection, rows: list[dict[str, Any]], taken: dict[str, tuple[int, int]]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Split rows into those to store and, for the others, updates that make their jobs due."""
        room = {
            job_id: [KEPT_PER_JOB - count, KEPT_BYTES_PER_JOB - size]
            for job_id, (count, size) in taken.items()
        }
        surplus = []
        for row in rows:
            left = room[row["job_id"]]
            left[0], left[1] = left[0] - 1, left[1] - len(row["body"]) - len(row["headers"])
            if min(left) < 0:
                surplus.append(row)
        if not surplus:
            return rows, []
        # Callbacks that are stored already are repeats, which take no room.
        over = {row["job_id"] for row in surplus}
        there = {tuple(found) for found in self._of_jobs(tx, _DIGESTS, over)}
        surplus = [row for row in surplus if (row["job_id"], row["digest"]) not in there]
        kept = [row for row in rows if row not in surplus]
        orders = [
            {"job_id": row["job_id"], "soon": row["poll_at"], "reason": "too_many"}
            for row in sorted(surplus, key=lambda row: str(row["job_id"]))
        ]
        return kept, orders

    def _taken(self, tx: Connection, job_ids: set[str]) -> dict[str, tuple[int, int]]:
        """For each existing job, the number and the bytes of its stored callbacks."""
        found = self._of_jobs(tx, _KNOWN, job_ids)
        return {job_id: (count, size) for job_id, count, size in found}

    def _of_jobs(self, tx: Connection, statement: str, job_ids: set[str]) -> list[Any]:
        if not job_ids:
            return []
        statement = statement.format(",".join([self._mark] * len(job_ids)))
        return list(tx.exec_driver_sql(statement, tuple(job_ids)))

    def _insert(self, tx: Connection, rows: list[dict[str, Any]]) -> None:
        """Insert one row for all equal callbacks: a statement must not have the same row twice."""
        key, unequal = itemgetter("job_id", "digest"), dict[tuple[str, str], dict[str, Any]]()
        numbers = Counter(map(key, rows))
        # Sorted, so that two processes never deadlock on the same rows.
        for row in sorted(rows, key=key):
            unequal.setdefault(key(row), row | {"repeats": numbers[key(row)] - 1})
        if unequal:
            values = [_VALUES(row) for row in unequal.values()]
            marks = f"({','.join([self._mark] * len(values[0]))})"
            statement = _INSERT.format(",".join([marks] * len(values)))
            tx.exec_driver_sql(statement, tuple(chain.from_iterable(values)))

    def _run_many(self, tx: Connection, statement: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        if not self._database.is_sqlite:
            # Writes SQLite's ``:name`` as psycopg's ``%(name)s``.
            statement = re.sub(r":([a-z_0-9]+)", r"%(\1)s", statement)
        tx.exec_driver_sql(statement, rows)
