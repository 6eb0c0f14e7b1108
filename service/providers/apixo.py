"""
APIXO: ``generateTask`` in callback mode, confirmed by ``statusTask``.

Every answer is an envelope ``{"code", "message", "data"}``. A failed task comes
as code 200 with ``state: failed``; the callback's body is the same envelope.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from service.errors import ProviderError, Refused, Unanswered
from service.model import Job, Outcome, Submission, TaskState
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
        envelope = json_object(answer.body) or {}
        task_id = _data(envelope).get("taskId")
        created = answer.status == 200 and envelope.get("code") == 200
        if created and isinstance(task_id, str) and task_id:
            return Submission(task_id)
        raise _not_created(answer, envelope)

    def fetch(self, job: Job) -> Outcome:
        """``GET /api/v1/statusTask/MODEL``."""
        task_id = quote(job.task_id or "", safe="")
        url = f"{self._base_url}/api/v1/statusTask/{job.model}?taskId={task_id}"
        answer = send_query(self._outbound, url, self._headers)
        envelope = json_object(answer.body)
        if envelope is None:
            message = f"statusTask answered HTTP {answer.status} without JSON"
            raise Unanswered("PROVIDER_UNAVAILABLE", message)
        if envelope.get("code") != 200:
            raise _query_refused(answer, envelope)
        return _outcome(_data(envelope))

    def parse(self, body: bytes) -> Outcome:
        """The envelope of a callback."""
        envelope = json_object(body)
        if envelope is None or not _data(envelope):
            raise ProviderError("PROVIDER_ERROR", "the callback holds no APIXO envelope")
        return _outcome(_data(envelope))


def _data(envelope: dict[str, Any]) -> dict[str, Any]:
    data = envelope.get("data")
    return data if isinstance(data, dict) else {}


def _not_created(answer: Response, envelope: dict[str, Any]) -> ProviderError:
    """Refused only where APIXO itself says so, or a 4xx does; else there may be a task."""
    code = envelope.get("code")
    status = code if isinstance(code, int) and code != 200 else answer.status
    message = _message(envelope) or f"HTTP {answer.status}"
    spoken = isinstance(code, int) and code != 200
    if status < 400 or status in (408, 502, 504) or (status >= 500 and not spoken):
        return Unanswered("SUBMIT_TIMEOUT_UNKNOWN", f"no usable answer: {message}")
    ours = _fail_word(envelope) or refusal_code(status, message)
    return Refused(ours, message, provider_code=str(status), retry_after=wished_wait(answer))


def _query_refused(answer: Response, envelope: dict[str, Any]) -> ProviderError:
    code = envelope.get("code")
    status = code if isinstance(code, int) else answer.status
    message = _message(envelope) or f"HTTP {answer.status}"
    ours = "NOT_FOUND_TASK" if status == 404 else refusal_code(status, message)
    return Refused(ours, message, provider_code=str(status), retry_after=wished_wait(answer))


def _message(envelope: dict[str, Any]) -> str:
    words = [envelope.get("message"), _data(envelope).get("error")]
    return ": ".join(str(word)[:500] for word in words if word)


def _fail_word(envelope: dict[str, Any]) -> str | None:
    word = _data(envelope).get("failCode")
    return code_of(word) if isinstance(word, str) and word else None


def _outcome(data: dict[str, Any]) -> Outcome:
    state = str(data.get("state"))
    task_id = data.get("taskId")
    task_id = task_id if isinstance(task_id, str) else None
    if state == "failed":
        word, message = str(data.get("failCode") or ""), str(data.get("failMsg") or "failed")
        error = job_error(code_of(word), message[:1000], word or None)
        return Outcome(TaskState.FAILED, task_id, error=error, raw_state=state)
    if state == "success":
        url = _result_url(data.get("resultJson"))
        return Outcome(TaskState.SUCCEEDED, task_id, result_url=url, raw_state=state)
    return Outcome(TaskState.RUNNING, task_id, raw_state=state)


def _result_url(result: Any) -> str | None:
    """The first of `resultUrls`; APIXO's pages show the object both as text and plain."""
    found = json_object(result.encode()) if isinstance(result, str) else result
    urls = found.get("resultUrls") if isinstance(found, dict) else None
    first = urls[0] if isinstance(urls, list) and urls else None
    return first if isinstance(first, str) and first.startswith(("http://", "https://")) else None
