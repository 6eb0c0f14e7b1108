"""
Answers of vendors, on this machine's disk until their rows are committed.

A vendor's answer to a create is said once. It is written here before anything
else, so that neither a database that is away nor a crash can lose it.
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
    """There is certainly no task; `retry_after` in seconds where the vendor names it."""

    code: str
    message: str
    provider_code: str | None = None
    retry_after: float | None = None
    kind: Literal["refusal"] = "refusal"


@dataclass(frozen=True)
class Silence:
    """There may be a task: no answer came, or none that says so; `code` says which."""

    code: str
    message: str
    kind: Literal["silence"] = "silence"


@dataclass(frozen=True)
class CreateAnswer:
    """
    What became of the create of a job, in its claim of that number.

    The `kind` of the results keeps them apart on the disk: a silence that was read as
    a refusal would be sent again.
    """

    job_id: str
    claims: int
    result: Submission | Refusal | Silence


@cache
def _adapter() -> TypeAdapter[CreateAnswer]:
    # It takes 30 ms to build, and few verbs of the command line need it.
    return TypeAdapter(CreateAnswer)


class Journal:
    """
    One file per answer below `folder`, locked by the process that is still at work on it.

    Every method may raise StorageError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        #: By job and claim: what this process works on.
        self._open: dict[tuple[str, int], BinaryIO] = {}

    def write(self, answer: CreateAnswer) -> None:
        """Keep the answer durably; it is this process's until it is removed or released."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # By claim too: what is removed late must not be the answer to a later create.
        path = self._folder / f"{answer.job_id}.{answer.claims}.json"
        write_whole(path, _adapter().dump_json(answer))
        file = path.open("rb")
        fcntl.flock(file, fcntl.LOCK_EX)
        self._hold(answer, file)

    def remove(self, answer: CreateAnswer) -> None:
        """The answer, which this process works on, is committed."""
        if file := self._let_go(answer):
            Path(file.name).unlink(missing_ok=True)
            file.close()

    def release(self, answer: CreateAnswer) -> None:
        """This process gives up for now; whoever reads `left` next goes on."""
        if file := self._let_go(answer):
            file.close()

    def _hold(self, answer: CreateAnswer, file: BinaryIO) -> None:
        with self._lock:
            self._open[answer.job_id, answer.claims] = file

    def _let_go(self, answer: CreateAnswer) -> BinaryIO | None:
        with self._lock:
            return self._open.pop((answer.job_id, answer.claims), None)

    def left(self) -> Iterator[CreateAnswer]:
        """Answers that nobody works on, each kept from others while it is looked at."""
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
