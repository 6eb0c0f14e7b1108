"""
A journal of vendors' answers, on this machine's disk until their rows are committed.

A vendor answers a create only once. The answer is written here before anything
else, so that neither a database outage nor a crash can lose it.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import TypeAdapter

from service.model import Submission
from service.storage.base import write_whole

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """A refusal: there is certainly no task. `retry_after` is in seconds, None if not named."""

    code: str
    message: str
    provider_code: str | None = None
    retry_after: float | None = None
    kind: Literal["refusal"] = "refusal"


@dataclass(frozen=True)
class Silence:
    """A missing or unclear answer: there may be a task. `code` says which."""

    code: str
    message: str
    kind: Literal["silence"] = "silence"


@dataclass(frozen=True)
class CreateAnswer:
    """
    The result of a job's create, made under the claim of that number.

    The `kind` distinguishes the results on disk: a missing answer that was read as
    a refusal would be sent again.
    """

    job_id: str
    claims: int
    result: Submission | Refusal | Silence


@cache
def _adapter() -> TypeAdapter[CreateAnswer]:
    # Building it takes 30 ms, and few verbs of the command line need it.
    return TypeAdapter(CreateAnswer)


class Journal:
    """
    One file per answer in `folder`, locked by the process that works on it.

    Every method may raise StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        #: The answers that this process works on, by job and claim.
        self._open: dict[tuple[str, int], BinaryIO] = {}

    def write(self, answer: CreateAnswer) -> None:
        """Store the answer durably; this process owns it until it is removed or released."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # The name has the claim too: a late removal must not hit the answer to a later create.
        path = self._folder / f"{answer.job_id}.{answer.claims}.json"
        write_whole(path, _adapter().dump_json(answer))
        file = path.open("rb")
        fcntl.flock(file, fcntl.LOCK_EX)
        self._hold(answer, file)

    def remove(self, answer: CreateAnswer) -> None:
        """Remove an answer of this process, after its commit."""
        if file := self._let_go(answer):
            Path(file.name).unlink(missing_ok=True)
            file.close()

    def release(self, answer: CreateAnswer) -> None:
        """Release an answer that cannot be committed now; the next reader of `left` continues."""
        if file := self._let_go(answer):
            file.close()

    def _hold(self, answer: CreateAnswer, file: BinaryIO) -> None:
        with self._lock:
            self._open[answer.job_id, answer.claims] = file

    def _let_go(self, answer: CreateAnswer) -> BinaryIO | None:
        with self._lock:
            return self._open.pop((answer.job_id, answer.claims), None)

    def left(self) -> Iterator[CreateAnswer]:
        """Answers that no process works on; each is locked while the caller handles it."""
        for path in sorted(self._folder.glob("job_*.json")):
            answer = self._take(path)
            if answer is None:
                continue
            try:
                yield answer
            finally:
                self.release(answer)

    def _take(self, path: Path) -> CreateAnswer | None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("%s cannot be read, and stays there: %s", path, error.strerror)
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answer = _adapter().validate_json(file.read())
            if answer.job_id != path.name.partition(".")[0]:
                raise ValueError(f"it is the answer for {answer.job_id}")
        except BlockingIOError:
            file.close()
            return None
        except (OSError, ValueError) as error:
            log.error("%s holds no answer that can be read; it stays there: %s", path, error)
            file.close()
            return None
        self._hold(answer, file)
        return answer
