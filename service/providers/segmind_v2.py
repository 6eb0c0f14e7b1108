"""
Segmind v2: submit, then ask; there is no callback for a plain model job.

A failed task comes as HTTP 422 with a body, on the status as on the result. A
record is gone an hour after the submission.
"""

from __future__ import annotations

from urllib.parse import quote

from service.catalogue.models import model_of
from service.errors import ProviderError
from service.model import Job, Outcome, TaskState
from service.providers.answers import read_outcome
from service.providers.base import WireRequest, send_query
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.task_api import TaskApi
from service.storage.uploads import with_inlined_images

#: Segmind's names; the values are those of an answer that is not wrapped.
VOCABULARY = Vocabulary(
    task_ids=("requestid",),
    other_ids=("taskid", "id"),
    wrappers=("data",),
    state_names=("status", "state"),
    state_words={"completed": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    fail_codes=("errorcode",),
    messages=("error", "errordescription", "message", "msg", "detail"),
    results=ResultNames(
        ("output", "outputs", "videourl", "video", "videos", "url", "result"),
        open=frozenset({"output", "outputs"}),
    ),
    cost=("metrics", "cost"),
    credits_left=("metrics", "remainingcredits"),
    failed_status=422,
)


class SegmindApi(TaskApi):
    """What both of Segmind's versions share."""

    name = "segmind"
    vocabulary = VOCABULARY
    # A bearer token is refused there.
    key_header = "x-api-key"
    key_prefix = ""

    def inlined_request(self, job: Job, version: str) -> WireRequest:
        """``POST /VERSION/MODEL``, with our own images as base64."""
        model = model_of(job.model, job.provider)
        ready = with_inlined_images(self.access.uploads, model, job, self.access.clock())
        return self.wire(f"/{version}/{job.model}", ready.input)

    def parse(self, body: bytes) -> Outcome:
        """Segmind sends no callbacks."""
        raise ProviderError("PROVIDER_ERROR", "Segmind sends no callbacks")


class Segmind(SegmindApi):
    """The adapter for v2; see `providers.base.Provider`."""

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /v2/MODEL``; `callback_url` has no place in this API."""
        return self.inlined_request(job, "v2")

    def fetch(self, job: Job) -> Outcome:
        """The status; once it is COMPLETED, the result, which may be the bare output."""
        task_id = job.task_id or ""
        where = f"{self.access.base_url}/v2/requests/{quote(task_id, safe='')}"
        status = self._ask(f"{where}/status", task_id)
        if status.state is not TaskState.SUCCEEDED:
            return status
        return self._ask(where, task_id, TaskState.SUCCEEDED)

    def _ask(self, url: str, task_id: str, assumed: TaskState | None = None) -> Outcome:
        answer = send_query(self.access.outbound, url, self.headers())
        return read_outcome(answer, VOCABULARY, task_id, self.access.base_url, assumed)
