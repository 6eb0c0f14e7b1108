"""
Segmind v1: one request that lasts as long as the generation.

Its answer is the video itself, or JSON that names it; the body goes to disk
either way, before anybody looks at what it is. There is nothing to ask
afterwards: a broken call leaves the job `unknown`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from service.errors import BodyTooLarge, NoAnswer, NotSent, ProviderError, Refused, Unanswered
from service.media.containers import HEAD_BYTES, container_of
from service.model import Job, Outcome, Submission, TaskState
from service.outbound.client import Response
from service.providers.access import Access
from service.providers.answers import creation_error, read_answer
from service.providers.base import JSON_BYTES, WireRequest
from service.providers.bodies import as_number
from service.providers.envelope import Envelope
from service.providers.segmind_v2 import VOCABULARY, SegmindApi
from service.storage import StorageError

VIDEO_BYTES = 1024**3


class SegmindSync(SegmindApi):
    """The adapter for v1; see `providers.base.Provider`."""

    holds_connection = True

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._answers = access.answers
        self.submit_seconds = access.sync_seconds

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /v1/MODEL``."""
        return self.inlined_request(job, "v1")

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Hold the connection to the end; the submission brings its outcome along."""
        name = _file_name(job)
        self._check_room()
        try:
            with self._answers.writing(name) as file:
                answer = self._send(self.request_for(job, callback_url), file)
                file.seek(0)
                head = file.read(JSON_BYTES)
                envelope = self._read(answer, head)
                if not 200 <= answer.status < 300:
                    raise creation_error(answer, envelope)
                found = self._outcome(name, answer, head, envelope)
        finally:
            self._forget(name)
        task_id = answer.headers.get("x-request-id") or envelope.task_id or f"v1-{job.id}"
        names = ("x-request-id", "x-cost", "x-remaining-credits", "x-generation-time")
        remark = ", ".join(f"{n} {answer.headers[n]}" for n in names if n in answer.headers)
        return Submission(task_id, found, remark)

    def _read(self, answer: Response, head: bytes) -> Envelope:
        # A film is no text.
        text = b"" if container_of(head) else head
        return read_answer(replace(answer, body=text), VOCABULARY, origin=self.access.base_url)

    def _check_room(self) -> None:
        """A disk that cannot take the answer is found before anything is paid for."""
        try:
            self._answers.check()
        except StorageError as error:
            raise Refused("PROVIDER_UNAVAILABLE", f"not sent: {error}") from error

    def _send(self, request: WireRequest, file: Any) -> Response:
        try:
            return self.access.outbound.call(
                "POST",
                request.url,
                headers=request.headers,
                body=json.dumps(request.body).encode(),
                seconds=self.submit_seconds,
                max_bytes=VIDEO_BYTES,
                into=file,
                unrepeatable=True,
            )
        except NotSent as error:
            raise Refused("PROVIDER_UNAVAILABLE", f"not sent: {error}") from error
        except (NoAnswer, BodyTooLarge) as error:
            message = f"sent, no whole answer: {error}"
            raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", message) from error

    def _outcome(self, name: str, answer: Response, head: bytes, envelope: Envelope) -> Outcome:
        cost, left = (as_number(answer.headers.get(n)) for n in ("x-cost", "x-remaining-credits"))
        if container_of(head):
            film = Outcome(TaskState.SUCCEEDED, result_file=name, cost=cost, raw_state="200")
            return replace(film, credits_left=left)
        found = replace(envelope.outcome(TaskState.SUCCEEDED), credits_left=left)
        if found.result_url is None and found.state is not TaskState.FAILED:
            message = "HTTP 200 with neither a video nor a link in it"
            raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", message)
        return found

    def _forget(self, name: str) -> None:
        """What was no video is not kept."""
        if not self._answers.exists(name):
            return
        with self._answers.open(name) as file:
            film = container_of(file.read(HEAD_BYTES))
        if not film:
            self._answers.delete(name)

    def fetch(self, job: Job) -> Outcome:
        """There is nobody to ask; but the answer may lie on our disk, whole."""
        name = _file_name(job)
        if self._answers.exists(name):
            return Outcome(TaskState.SUCCEEDED, result_file=name, raw_state="on disk")
        raise ProviderError("PROVIDER_UNAVAILABLE", "Segmind v1 keeps no record of a request")


def _file_name(job: Job) -> str:
    """The job's own file: after a crash it shows that the answer had come."""
    return f"vid_{job.id.partition('_')[2]}.mp4"
