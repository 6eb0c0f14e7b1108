"""
A vendor that answers when the test says so, and workers that wait for it.

Each unit of work runs in a thread of its own and stops where it asks the
vendor; so any number of requests can be under way, while only one thread moves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from service.catalogue.entries import Limits
from service.model import Job, Outcome, Submission
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from support.reach import access

#: Real seconds after which a unit that neither asks nor ends is taken for stuck.
STUCK = 30.0


class Died(BaseException):
    """The worker's process ended here: nothing that follows was done."""


@dataclass(eq=False)
class Call:
    """One request that is under way: a create (`url` is its callback's) or a question."""

    job: Job
    url: str = ""
    answer: Future[Any] = field(default_factory=Future)


@dataclass
class _Ended:
    """A unit of work is over: what it returned, or the error that it raised."""

    more: bool = False
    error: BaseException | None = None


class Vendor(Apixo):
    """APIXO's words, at a vendor whose answers the test gives."""

    limits = Limits(requests_per_minute=120, tasks=3)

    def __init__(self, outbound: Outbound, submit_seconds: float) -> None:
        super().__init__(access(outbound, "http://127.0.0.1:9", "k", submit_seconds))
        self.news: queue.Queue[Call | _Ended] = queue.Queue()

    def submit(self, job: Job, callback_url: str) -> Submission:
        """What the test answers."""
        answer = self._ask(Call(job, callback_url))
        assert isinstance(answer, Submission)
        return answer

    def fetch(self, job: Job) -> Outcome:
        """What the test answers."""
        answer = self._ask(Call(job))
        assert isinstance(answer, Outcome)
        return answer

    def _ask(self, call: Call) -> Submission | Outcome:
        self.news.put(call)
        answer: Submission | Outcome = call.answer.result(timeout=600)
        return answer

    def run(self, unit: Callable[[], bool]) -> Call | bool:
        """Start a unit of work: the request that it waits for, or what it returned."""
        threading.Thread(target=self._work, args=(unit,), daemon=True).start()
        return self._wait()

    def reply(self, call: Call, answer: Submission | Outcome | BaseException) -> Call | bool:
        """Answer a request, or let its worker die: what its unit asks next, or returned."""
        if isinstance(answer, BaseException):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
        return self._wait()

    def _work(self, unit: Callable[[], bool]) -> None:
        try:
            self.news.put(_Ended(unit()))
        except Died:
            self.news.put(_Ended())
        except BaseException as error:
            self.news.put(_Ended(error=error))

    def _wait(self) -> Call | bool:
        news = self.news.get(timeout=STUCK)
        if isinstance(news, Call):
            return news
        if news.error:
            raise news.error
        return news.more
