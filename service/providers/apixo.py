"""
APIXO: ``generateTask`` in callback mode, confirmed by ``statusTask``.

Every answer is an envelope ``{"code", "message", "data"}``. A failed task comes
as code 200 with ``state: failed``; the callback's body is the same envelope.
"""

from __future__ import annotations

from urllib.parse import quote

from service.model import Job, Outcome, Submission, TaskState
from service.outbound.client import Outbound
from service.providers.answers import read_callback, read_created_task, read_outcome
from service.providers.base import Limits, WireRequest, send_create, send_query
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames

#: APIXO's documented names stand first; those behind them are of its relatives (kie.ai,
#: PiAPI, Kling and their gateways), whose answers have the same shape.
VOCABULARY = Vocabulary(
    task_ids=("taskid",),
    other_ids=("id", "recordid", "jobid", "generationid"),
    request_ids=("requestid",),
    wrappers=("data", "task", "payload"),
    state_names=("state", "status", "taskstatus", "successflag"),
    state_words={
        "success": TaskState.SUCCEEDED,
        "failed": TaskState.FAILED,
        "processing_r2": TaskState.RUNNING,
    },
    codes=("code", "statuscode", "errcode"),
    accepted=frozenset({0, 200, 201, 202}),
    fail_codes=("failcode", "errorcode", "failurecode"),
    messages=(
        *("failmsg", "failreason", "failmessage", "failurereason", "errormessage", "errormsg"),
        *("taskstatusmsg", "message", "msg", "error", "errordescription", "reason", "detail"),
    ),
    results=ResultNames(
        (
            *("resultjson", "resulturls", "fullresulturls", "resulturl", "resultvideourl"),
            *("resourcewithoutwatermark", "videourls", "videourl", "videos", "video"),
            *("outputurl", "output", "outputs", "works", "resource", "taskresult"),
            *("resultinfojson", "result", "results", "response", "info", "content", "assets"),
            *("downloadurl", "url", "data"),
        ),
        task_ids=("taskid",),
    ),
)


class Apixo:
    """The adapter; see `providers.base.Provider`."""

    name = "apixo"
    limits = Limits(requests_per_minute=10_000, tasks=1000)
    holds_connection = False

    def __init__(
        self, outbound: Outbound, base_url: str, api_key: str, submit_seconds: float
    ) -> None:
        self._outbound = outbound
        self._base_url = base_url
        self.submit_seconds = submit_seconds
        self._headers = {"Authorization": f"Bearer {api_key}"}

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /api/v1/generateTask/MODEL``."""
        return WireRequest(
            url=f"{self._base_url}/api/v1/generateTask/{job.model}",
            headers={**self._headers, "Content-Type": "application/json"},
            body={
                "request_type": "callback",
                "callback_url": callback_url,
                "provider": job.route,
                "input": job.input,
            },
            secrets=("Authorization",),
        )

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Create the task."""
        request = self.request_for(job, callback_url)
        answer = send_create(self._outbound, request, self.submit_seconds)
        return Submission(read_created_task(answer, VOCABULARY))

    def fetch(self, job: Job) -> Outcome:
        """``GET /api/v1/statusTask/MODEL``."""
        task_id = job.task_id or ""
        query = f"taskId={quote(task_id, safe='')}"
        url = f"{self._base_url}/api/v1/statusTask/{job.model}?{query}"
        answer = send_query(self._outbound, url, self._headers)
        return read_outcome(answer, VOCABULARY, task_id, self._base_url)

    def parse(self, body: bytes) -> Outcome:
        """The envelope of a callback."""
        return read_callback(body, VOCABULARY, self._base_url)
