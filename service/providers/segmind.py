"""
Segmind v2: submit, then ask; there is no callback for a plain model job.

A failed task comes as HTTP 422 with a body, on the status as on the result. A
record is gone an hour after the submission.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from service.catalogue.models import MODELS
from service.errors import ProviderError, Refused, Unanswered
from service.model import Clock, Job, JobError, Outcome, Submission, TaskState
from service.model.error_codes import code_of, job_error
from service.outbound.client import Outbound, Response
from service.providers.base import (
    Limits,
    WireRequest,
    json_object,
    refusal_code,
    send_create,
    send_query,
    wished_wait,
)
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
        body = json_object(answer.body) or {}
        request_id = body.get("request_id")
        if 200 <= answer.status < 300 and isinstance(request_id, str) and request_id:
            return Submission(request_id)
        raise not_created(answer, body)

    def fetch(self, job: Job) -> Outcome:
        """The status; once it is COMPLETED, the result."""
        where = f"{self._access.base_url}/v2/requests/{quote(job.task_id or '', safe='')}"
        body = self._ask(f"{where}/status")
        if body.get("status") == "COMPLETED":
            body = self._ask(where)
        return outcome(body)

    def parse(self, body: bytes) -> Outcome:
        """Segmind sends no callbacks."""
        raise ProviderError("PROVIDER_ERROR", "Segmind sends no callbacks")

    def _ask(self, url: str) -> dict[str, Any]:
        answer = send_query(self._access.outbound, url, self._access.headers())
        body = json_object(answer.body)
        if body is not None and (answer.status == 200 or body.get("status") == "FAILED"):
            return body
        message = _message(body or {}) or f"HTTP {answer.status}"
        if answer.status == 404:
            raise Refused("NOT_FOUND_TASK", message, provider_code="404")
        if body is None:
            raise Unanswered("PROVIDER_UNAVAILABLE", f"{message} without JSON")
        code = refusal_code(answer.status, message)
        raise Refused(code, message, retry_after=wished_wait(answer))


def not_created(answer: Response, body: dict[str, Any]) -> ProviderError:
    """Refused only where Segmind's own words, or a 4xx, say so; else there may be a task."""
    message = _message(body)
    shown = message or f"HTTP {answer.status}"
    silent = answer.status >= 500 and not message
    if answer.status < 400 or answer.status in (408, 502, 504) or silent:
        return Unanswered("SUBMIT_TIMEOUT_UNKNOWN", f"no usable answer: {shown}")
    return Refused(
        refusal_code(answer.status, message),
        shown,
        provider_code=str(answer.status),
        retry_after=wished_wait(answer),
    )


def _message(body: dict[str, Any]) -> str:
    words = [body.get("error"), body.get("error_description")]
    return ": ".join(str(word)[:500] for word in words if word)


def outcome(body: dict[str, Any]) -> Outcome:
    """What a status or result body says."""
    state = str(body.get("status"))
    cost = _cost(body)
    if state == "FAILED":
        return Outcome(TaskState.FAILED, error=_error(body), cost=cost, raw_state=state)
    if state == "COMPLETED":
        url = _url(body.get("output"))
        return Outcome(TaskState.SUCCEEDED, result_url=url, cost=cost, raw_state=state)
    return Outcome(TaskState.RUNNING, raw_state=state)


def _error(body: dict[str, Any]) -> JobError:
    """Segmind has no codes of its own: the words before a colon may be the model's."""
    message = _message(body) or "failed without a reason"
    word = message.partition(":")[0]
    return job_error(code_of(word), message, word if word != message else None)


def _cost(body: dict[str, Any]) -> float | None:
    metrics = body.get("metrics")
    cost = metrics.get("cost") if isinstance(metrics, dict) else None
    number = isinstance(cost, (int, float)) and not isinstance(cost, bool)
    return float(cost) if number and cost is not None else None


def _url(output: Any) -> str | None:
    """The first URL in `output`, whose shape differs from model to model."""
    if isinstance(output, str):
        return output if output.startswith(("http://", "https://")) else None
    inner = list(output.values()) if isinstance(output, dict) else output
    if not isinstance(inner, list):
        return None
    return next((url for url in map(_url, inner) if url), None)
