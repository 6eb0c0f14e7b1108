"""
What the adapters of task APIs have in common: create a task, ask about it, hear of its end.

A subclass says what its vendor's requests look like, and in a `Vocabulary` what its answers
mean. It never repeats a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.catalogue.entries import Limits
from service.errors import ProviderError
from service.model import Job, Outcome, Submission, TaskState
from service.providers.access import Access
from service.providers.answers import read_callback, read_created_task, read_outcome
from service.providers.base import PastTask, WireRequest, send_create, send_query
from service.providers.envelope import Envelope, Vocabulary
from service.providers.schemes import Scheme, secrets_in
from service.settings import PREFIX


class TaskApi:
    """One vendor's adapter; see `providers.base.Provider`."""

    name: str
    vocabulary: Vocabulary
    limits = Limits()
    holds_connection = False
    #: The header that bears the key.
    key_header = "Authorization"
    key_prefix = "Bearer "
    #: Below this path of the vendor's origin a result takes the key; None where none does.
    private_path: str | None = None
    #: What follows the task's own address where its film is; None where that has another.
    content_path: str | None = None

    def __init__(self, access: Access) -> None:
        self.access = access
        self.submit_seconds = access.submit_seconds
        self.scheme = self.make_scheme()

    @property
    def secret_setting(self) -> str:
        """The name of the setting for what it signs by."""
        return f"{PREFIX}{self.name.upper()}_WEBHOOK_SECRET"

    def make_scheme(self) -> Scheme | None:
        """How the vendor's callbacks are signed; None where they are not, or without a secret."""
        return None

    def headers(self) -> dict[str, str]:
        """What every request bears."""
        return {self.key_header: f"{self.key_prefix}{self.access.api_key}"}

    def wire(self, path: str, body: dict[str, Any]) -> WireRequest:
        """A create request to this path, which starts with a slash."""
        secrets = tuple(secrets_in(self.access.webhook_secret))
        return WireRequest(
            url=self.access.base_url + path,
            headers={**self.headers(), "Content-Type": "application/json"},
            body=body,
            secrets=(self.key_header,),
            hidden=secrets,
        )

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """The create request for this job, without sending it."""
        raise NotImplementedError

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Create the task. Raises Refused or Unanswered."""
        request = self.request_for(job, callback_url)
        answer = send_create(self.access.outbound, request, self.submit_seconds)
        return Submission(read_created_task(answer, self.vocabulary))

    def query_path(self, job: Job) -> str:
        """Where `job.task_id` is asked about."""
        raise NotImplementedError

    def fetch(self, job: Job) -> Outcome:
        """Ask what became of the task. Raises ProviderError."""
        answer = send_query(
            self.access.outbound, self.access.base_url + self.query_path(job), self.headers()
        )
        task_id, base_url = job.task_id or "", self.access.base_url
        found = read_outcome(answer, self.vocabulary, task_id, base_url)
        if self.content_path and found.state is TaskState.SUCCEEDED and not found.result_url:
            url = f"{base_url}{self.query_path(job)}{self.content_path}"
            found = replace(found, result_url=url)
        return self.marked(found)

    def parse(self, body: bytes) -> Outcome:
        """What a callback says. Raises ProviderError."""
        return self.marked(read_callback(body, self.vocabulary, self.access.base_url))

    def marked(self, outcome: Outcome) -> Outcome:
        """The outcome, saying whether its link takes the key."""
        start = f"{self.access.base_url}{self.private_path}"
        has_key = self.private_path is not None and bool(self.access.api_key)
        is_private = has_key and (outcome.result_url or "").startswith(start)
        return replace(outcome, is_private=is_private)

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """The task of a job whose create was not answered. Raises ProviderError."""
        raise ProviderError("PROVIDER_UNAVAILABLE", f"{self.name} has no lookup")

    def history(self, since: datetime, job_of: Callable[[str], str | None]) -> Iterator[PastTask]:
        """The vendor's tasks since a time. Raises ProviderError."""
        raise ProviderError("PROVIDER_UNAVAILABLE", f"{self.name} has no list of tasks")

    def past_task(
        self, task: dict[str, Any], job_id: str | None, created_at: datetime | None
    ) -> PastTask:
        """One entry of the vendor's list."""
        envelope = Envelope(task, self.vocabulary, origin=self.access.base_url)
        return PastTask(created_at, job_id, envelope)
