"""
fal: a queue for each app, and a callback signed by Ed25519.

A task that is COMPLETED may carry an error, and its result is another question.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from service.catalogue.models import VENDORS, model_of
from service.model import Job, Outcome, TaskState
from service.model.error_codes import code_of, job_error
from service.providers.answers import read_answer, read_outcome
from service.providers.base import WireRequest, send_query
from service.providers.envelope import Envelope, Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Ed25519Jwks, Scheme
from service.providers.task_api import TaskApi

KEYS = "https://rest.fal.ai/.well-known/jwks.json"
#: Under these a result says that its task has failed, but for one that is not there yet.
FAILED = (400, 422)
NOT_YET = "in progress"
VOCABULARY = Vocabulary(
    task_ids=("requestid",),
    wrappers=("payload",),
    state_words={"completed": TaskState.SUCCEEDED, "ok": TaskState.SUCCEEDED},
    fail_codes=("errortype",),
    messages=("error", "payloaderror", "detail", "message", "msg"),
    results=ResultNames(("video", "videos", "payload", "url")),
)
#: A status may have a message besides; only these say that the task has failed.
ERRORS = replace(VOCABULARY, messages=("error", "payloaderror"))


class Fal(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "fal"
    vocabulary = VOCABULARY
    key_prefix = "Key "

    def make_scheme(self) -> Scheme:
        """The vendor's public keys; a stand-in for the vendor has its own."""
        base, known = self.access.base_url, VENDORS["fal"].base_url
        url = KEYS if base == known else f"{base}/.well-known/jwks.json"
        return Ed25519Jwks(self.access.outbound, url, "x-fal-webhook", self.access.clock)

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /APP?fal_webhook=URL``; the body is the input alone."""
        values = dict(job.input)
        app = model_of(job.model, job.provider).wire
        if tier := values.pop("tier", None):
            app = f"{app}/{tier}"
        has_image = any(name in values for name in ("image_url", "start_image_url"))
        if has_image:
            # The image decides the shape.
            values.pop("aspect_ratio")
        values["duration"] = str(values["duration"])
        kind = "image-to-video" if has_image else "text-to-video"
        query = f"?fal_webhook={quote(callback_url, safe='')}" if callback_url else ""
        return self.wire(f"/{app}/{kind}{query}", values)

    def fetch(self, job: Job) -> Outcome:
        """The status; once it is COMPLETED without an error, the result."""
        task_id = job.task_id or ""
        owner, name, *_ = model_of(job.model, job.provider).wire.split("/")
        where = f"{self.access.base_url}/{owner}/{name}/requests/{quote(task_id, safe='')}"
        answer = send_query(self.access.outbound, f"{where}/status", self.headers())
        status = read_outcome(answer, VOCABULARY, task_id, self.access.base_url)
        if status.state is not TaskState.SUCCEEDED:
            return status
        said = read_answer(answer, ERRORS, task_id)
        if said.complaint:
            return _failed(task_id, said)
        result = send_query(self.access.outbound, where, self.headers())
        said = read_answer(result, VOCABULARY, task_id)
        if result.status in FAILED and NOT_YET not in said.complaint:
            return _failed(task_id, said)
        base_url = self.access.base_url
        return read_outcome(result, VOCABULARY, task_id, base_url, TaskState.SUCCEEDED)


def _failed(task_id: str, said: Envelope) -> Outcome:
    reason, code = said.complaint or "failed without a reason", said.fail_code
    error = job_error(code_of(code or ""), reason, code)
    return Outcome(TaskState.FAILED, task_id, error=error, raw_state="COMPLETED", message=reason)


make = Fal
