"""
APIXO: ``generateTask`` in callback mode, confirmed by ``statusTask``.

Every answer is an envelope ``{"code", "message", "data"}``. A failed task comes
as code 200 with ``state: failed``; the callback's body is the same envelope.
"""

from __future__ import annotations

from urllib.parse import quote

from service.catalogue.models import VENDORS
from service.model import Job, TaskState
from service.providers.base import WireRequest
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.task_api import TaskApi

#: APIXO's documented names stand first; those behind them are of its relatives (kie.ai,
#: PiAPI, Kling and their gateways), whose answers have the same shape.
VOCABULARY = Vocabulary(
    task_ids=("taskid",),
    other_ids=("id", "recordid", "jobid", "generationid", "uuid", "taskuuid", "predictionid"),
    request_ids=("requestid",),
    wrappers=(
        *("data", "task", "payload", "tasks", "result", "response", "output"),
        *("records", "list", "items", "taskids"),
    ),
    state_names=("state", "status", "taskstatus", "successflag"),
    state_words={
        "success": TaskState.SUCCEEDED,
        "failed": TaskState.FAILED,
        "processing_r2": TaskState.RUNNING,
    },
    codes=("code", "statuscode", "errcode"),
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


class Apixo(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "apixo"
    vocabulary = VOCABULARY
    limits = VENDORS[name].limits

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /api/v1/generateTask/MODEL``."""
        way = {"request_type": "async"}
        if callback_url:
            way = {"request_type": "callback", "callback_url": callback_url}
        return self.wire(
            f"/api/v1/generateTask/{job.model}",
            {**way, "provider": job.route, "input": job.input},
        )

    def query_path(self, job: Job) -> str:
        """``GET /api/v1/statusTask/MODEL``."""
        return f"/api/v1/statusTask/{job.model}?taskId={quote(job.task_id or '', safe='')}"


make = Apixo
