"""The messages that have arrived at the sinks, in order, for people and for waiting tests."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
parse_mail = BytesParser(policy=default).parsebytes


@dataclass(frozen=True)
class Received:
    """
    One message that arrived; `problems` says what is wrong with it.

    `kind` is ``slack``, ``bot``, ``mail`` or ``hook``, `at` seconds since 1970;
    `body` and `headers` (of a request) are as they came. A bot's are the API's
    ``method`` and the ``channel`` and ``ts`` of the card that it is about.
    """

    number: int
    kind: str
    at: float
    subject: str
    problems: list[str]
    job_id: str | None
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    @property
    def json(self) -> Any:
        """The body read as JSON; None when it is none."""
        with suppress(ValueError):
            return json.loads(self.body)
        return None

    @property
    def pretty(self) -> str:
        """The JSON indented; the raw text when it is none."""
        if self.json is None:
            return self.body.decode("utf-8", "replace")
        return json.dumps(self.json, indent=2, ensure_ascii=False)

    @property
    def mail(self) -> EmailMessage:
        """The body read as a mail."""
        return parse_mail(self.body)


class Inbox:
    """All messages that arrived, and the answers scripted for the sinks; shared by threads."""

    def __init__(self) -> None:
        self._arrived: list[Received] = []
        self._scripted: dict[str, deque[str]] = {}
        self._news = threading.Condition()

    def received(self) -> list[Received]:
        """The messages that have arrived so far, oldest first."""
        with self._news:
            return list(self._arrived)

    def wait(self, is_so: Callable[[list[Received]], bool], seconds: float) -> bool:
        """Wait until `is_so` of the messages; False when `seconds` pass before."""
        with self._news:
            return self._news.wait_for(lambda: is_so(list(self._arrived)), seconds)

    def add(
        self,
        kind: str,
        subject: str,
        problems: list[str],
        body: bytes,
        text: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Keep a message; the job it is about is looked for in `text`."""
        job = _JOB_ID.search(text)
        about = job[0] if job else None
        with self._news:
            number = len(self._arrived) + 1
            found = (number, kind, time.time(), subject, problems, about, body, headers or {})
            self._arrived.append(Received(*found))
            self._news.notify_all()

    def script(self, sink: str, answers: list[str]) -> None:
        """Let a sink give these answers, in turn, before it goes on as usual."""
        with self._news:
            self._scripted.setdefault(sink, deque()).extend(answers)

    def next_answer(self, sink: str, step: str = "") -> str | None:
        """The next scripted answer of a sink, if it is one for this step; it is used up."""
        with self._news:
            answers = self._scripted.get(sink)
            if not answers or not answers[0].startswith(step):
                return None
            return answers.popleft().removeprefix(step).strip()
