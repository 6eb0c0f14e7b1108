"""
Segmind v2: submit, then ask; there is no callback for a plain model job.

A failed task comes as HTTP 422 with a body, on the status as on the result. A
record is gone an hour after the submission.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from service.catalogue.models import MODELS
from service.errors import ProviderError
from service.model import Clock, Job, Outcome, Submission, TaskState
from service.outbound.client import Outbound
from service.providers.answers import read_created_task, read_outcome
from service.providers.base import Limits, WireRequest, send_create, send_query
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.storage.uploads import UploadStore, with_inlined_images


@dataclass(frozen=True)
class Access:
    """How both of Segmind's APIs are reached, and what they are sent."""

    outbound: Outbound
    uploads: UploadStore
    clock: Clock
    base_url: str
    api_key: str

    def headers(self) -> dict[str, str]:
        """``x-api-key`` only: a bearer token is refused there."""
        return {"x-api-key": self.api_key}

    def request_for(self, job: Job, version: str) -> WireRequest:
        """``POST /VERSION/MODEL``, with our own images as base64."""
        ready = with_inlined_images(self.uploads, MODELS[job.model], job, self.clock())
        return WireRequest(
            url=f"{self.base_url}/{version}/{job.model}",
            headers={**self.headers(), "Content-Type": "application/json"},
            body=ready.input,
            secrets=("x-api-key",),
        )


#: Segmind's names; the values are those of an answer that is not wrapped.
VOCABULARY = Vocabulary(
    task_ids=("requestid",),
    other_ids=("taskid", "id"),
    request_ids=(),
    wrappers=("data",),
    state_names=("status", "state"),
    state_words={"completed": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    codes=(),
    accepted=frozenset(),
    fail_codes=("errorcode",),
    messages=("error", "errordescription", "message", "msg", "detail"),
    results=ResultNames(
        ("output", "outputs", "videourl", "video", "videos", "url", "result"),
        open=frozenset({"output", "outputs"}),
    ),
    cost=("metrics", "cost"),
    failed_status=422,
)


class Segmind:
    """The adapter for v2; see `providers.base.Provider`."""

    name = "segmind"
    limits = Limits()
    holds_connection = False

    def __init__(self, access: Access, submit_seconds: float) -> None:
        self._access = access
        self.submit_seconds = submit_seconds

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /v2/MODEL``; `callback_url` has no place in this API."""
        return self._access.request_for(job, "v2")

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Create the request."""
        request = self.request_for(job, callback_url)
        answer = send_create(self._access.outbound, request, self.submit_seconds)
        return Submission(read_created_task(answer, VOCABULARY))

    def fetch(self, job: Job) -> Outcome:
        """The status; once it is COMPLETED, the result, which may be the bare output."""
        task_id = job.task_id or ""
        where = f"{self._access.base_url}/v2/requests/{quote(task_id, safe='')}"
        status = self._ask(f"{where}/status", task_id)
        if status.state is not TaskState.SUCCEEDED:
            return status
        return self._ask(where, task_id, TaskState.SUCCEEDED)

    def parse(self, body: bytes) -> Outcome:
        """Segmind sends no callbacks."""
        raise ProviderError("PROVIDER_ERROR", "Segmind sends no callbacks")

    def _ask(self, url: str, task_id: str, assumed: TaskState | None = None) -> Outcome:
        answer = send_query(self._access.outbound, url, self._access.headers())
        return read_outcome(answer, VOCABULARY, task_id, self._access.base_url, assumed)
