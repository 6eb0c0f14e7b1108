"""
Kling's own API: the routes of 2026, and the older ones for what only they take.

Our job's id is sent as `external_task_id`, which is unique for each account: a create that
was not answered is looked up by it, and may be repeated where nothing is found.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from service.catalogue.models import model_of
from service.catalogue.vendors.kling import OLD_ONLY
from service.errors import ProviderError, Refused, Unanswered, WrongTask
from service.model import Job, Outcome, Submission, TaskState
from service.outbound.client import Response
from service.providers.answers import read_answer, read_outcome
from service.providers.base import PastTask, WireRequest, list_too_long, send_query
from service.providers.bodies import as_word, canonical, read_body
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Scheme, StandardWebhooks
from service.providers.task_api import TaskApi

#: The vendor's codes as ours; those of 429 and 5xx mean more than the status.
REFUSALS = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), "AUTH_INVALID"),
    "1100": "ACCOUNT_EXCEPTION",
    "1101": "INSUFFICIENT_CREDITS",
    "1102": "INSUFFICIENT_CREDITS",
    "1103": "FORBIDDEN",
    "1200": "BAD_REQUEST",
    "1201": "BAD_REQUEST",
    "1202": "NOT_FOUND_MODEL",
    "1203": "NOT_FOUND_MODEL",
    "1300": "CONTENT_VIOLATION",
    "1301": "CONTENT_VIOLATION",
    "1302": "RATE_LIMITED",
    "1303": "CONCURRENCY_LIMIT",
    "1304": "FORBIDDEN",
    "5001": "PROVIDER_UNAVAILABLE",
}
VOCABULARY = Vocabulary(
    task_ids=("id", "taskid"),
    wrappers=("data",),
    state_names=("status", "taskstatus"),
    state_words={
        "submitted": TaskState.RUNNING,
        "processing": TaskState.RUNNING,
        "succeeded": TaskState.SUCCEEDED,
        "succeed": TaskState.SUCCEEDED,
        "failed": TaskState.FAILED,
    },
    messages=("taskstatusmsg", "message"),
    results=ResultNames(("outputs", "taskresult", "videos", "url")),
    request_codes=("code",),
    refusals=REFUSALS,
    sure=frozenset({"5001"}),
    caller_ids=("externalid", "taskinfo.externaltaskid"),
    charges=(("billing", "amount", "chargetype"), ("finalunitdeduction", "", "unit")),
)
#: How a create is refused for its parameters: the HTTP status, or the vendor's code under 200.
PERHAPS_TAKEN = ("400", "1200", "1201")
#: Of the list of tasks: entries on a page, and pages at most.
PAGE, MOST_PAGES = 500, 20
#: How the ids of our jobs begin: a person may give a job a task that has another name of its own.
JOB_PREFIX = "job_"
#: Seconds that a token made from an access key and its secret is good, and begins before now.
TOKEN_SECONDS, TOKEN_SLACK = 1800, 5


class Kling(TaskApi):
    """
    The adapter; see `providers.base.Provider`.

    A key of the form ``ACCESS:SECRET`` is one of the older accounts: it signs a token for
    each request, and only the older routes take that.
    """

    name = "kling"
    vocabulary = VOCABULARY

    def make_scheme(self) -> Scheme | None:
        """Standard Webhooks, once the account has a secret."""
        secret = self.access.webhook_secret
        return StandardWebhooks(secret, self.secret_setting) if secret else None

    def headers(self) -> dict[str, str]:
        """The key, or a token made from both halves of an older one."""
        access, colon, secret = self.access.api_key.partition(":")
        key = self._token(access, secret) if colon else access
        return {"Authorization": f"Bearer {key}"}

    def _token(self, access: str, secret: str) -> str:
        """A JSON Web Token, signed by HMAC-SHA256."""
        now = int(self.access.clock().timestamp())
        head: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
        claims = {"iss": access, "exp": now + TOKEN_SECONDS, "nbf": now - TOKEN_SLACK}
        parts = [
            _base64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)
        ]
        signature = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
        return ".".join([*parts, _base64(signature)])

    def _is_old(self, job: Job) -> bool:
        return ":" in self.access.api_key or any(name in job.input for name in OLD_ONLY)

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /text-to-video/MODEL`` and the like. Raises Refused."""
        if self._is_old(job):
            return self.wire(f"/v1/videos/{_old_kind(job)}", _old_body(job, callback_url))
        values = job.input
        settings = {
            name: values[name]
            for name in ("resolution", "aspect_ratio", "duration", "audio")
            if name in values
        }
        options = {"external_task_id": job.id}
        options |= {"callback_url": callback_url} if callback_url else {}
        body = {"settings": settings, "options": options}
        if "first_frame" not in values:
            return self.wire(f"/text-to-video/{job.model}", {"prompt": values["prompt"], **body})
        # The first frame decides the shape.
        settings.pop("aspect_ratio", None)
        frames = [name for name in ("first_frame", "last_frame") if name in values]
        contents = [{"type": "prompt", "text": values["prompt"]}]
        contents += [{"type": name, "url": values[name]} for name in frames]
        return self.wire(f"/image-to-video/{job.model}", {"contents": contents, **body})

    def submit(self, job: Job, callback_url: str) -> Submission:
        """
        Create the task, or find the one that an earlier create of this job has made.

        A refusal for its parameters has the same code as one for an id that is taken: the
        lookup decides which it is.
        """
        try:
            return super().submit(job, callback_url)
        except Refused as refused:
            repeated = job.error is not None
            taken = refused.code == "BAD_REQUEST" and refused.provider_code in PERHAPS_TAKEN
            if not (repeated or taken):
                raise
            return self._made_before(job, refused, repeated)

    def _made_before(self, job: Job, refused: Refused, repeated: bool) -> Submission:
        try:
            found = self.find(job, lambda _: None)
        except ProviderError as error:
            message = f"refused ({refused.message}), perhaps as a duplicate: {error.message}"
            raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", message) from error
        if found:
            return Submission(found, remark="found under our own id: it was made before")
        if repeated and refused.code == "BAD_REQUEST":
            message = f"refused as a duplicate, but not found: {refused.message}"
            raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", message)
        raise refused

    def query_path(self, job: Job) -> str:
        """``GET /tasks``, or the older route of the job's kind."""
        task_id = quote(job.task_id or "", safe="")
        if self._is_old(job):
            return f"/v1/videos/{_old_kind(job)}/{task_id}"
        return f"/tasks?task_ids={task_id}"

    def fetch(self, job: Job) -> Outcome:
        """What became of the task; one that is not in the answer's list is not there."""
        answer = self._ask(self.query_path(job))
        if self._is_missing(answer):
            raise Refused("NOT_FOUND_TASK", f"the provider has no task {job.task_id}")
        named = read_answer(answer, VOCABULARY, job.task_id).caller_id
        if named and named != job.id and named.startswith(JOB_PREFIX):
            raise WrongTask("PROVIDER_ERROR", f"task {job.task_id} was made for {named}")
        return read_outcome(answer, VOCABULARY, job.task_id or "", self.access.base_url)

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """The task under our job's id; None where there certainly is none now."""
        old = self._is_old(job)
        path = (
            f"/v1/videos/{_old_kind(job)}/{job.id}" if old else f"/tasks?external_task_ids={job.id}"
        )
        answer = self._ask(path)
        if self._is_missing(answer):
            return None
        envelope = read_answer(answer, VOCABULARY, job.id)
        if answer.status != 200 or not envelope.own_id:
            raise Unanswered("PROVIDER_UNAVAILABLE", f"the lookup answered {answer.status}")
        if envelope.caller_id not in (None, job.id):
            message = f"the lookup answered about {envelope.caller_id} instead of {job.id}"
            raise WrongTask("PROVIDER_UNAVAILABLE", message)
        return envelope.own_id

    def history(self, since: datetime, job_of: Callable[[str], str | None]) -> Iterator[PastTask]:
        """The vendor's list of tasks; a task of ours has our job's id."""
        asked: dict[str, Any] = {"start_time": round(since.timestamp() * 1000), "limit": PAGE}
        for _ in range(MOST_PAGES):
            answer = self._ask("/tasks", asked)
            tree = read_body(answer.body)
            data = tree.get("data") if isinstance(tree, dict) else None
            if answer.status != 200 or not isinstance(data, dict):
                raise Unanswered("PROVIDER_UNAVAILABLE", f"the list answered {answer.status}")
            for one in data.get("tasks") or ():
                if isinstance(one, dict):
                    yield self.past_task(one, one.get("external_id") or None, _created_at(one))
            if not data.get("cursor"):
                return
            asked["cursor"] = data["cursor"]
        raise list_too_long(MOST_PAGES)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Response:
        url = self.access.base_url + path
        return send_query(self.access.outbound, url, self.headers(), body)

    @staticmethod
    def _is_missing(answer: Response) -> bool:
        """Whether the vendor itself says that there is no such task."""
        tree = read_body(answer.body)
        node = canonical(tree) if isinstance(tree, dict) else {}
        if answer.status == 200:
            return node.get("data") == [] and as_word(node.get("code")) == "0"
        return answer.status == 404 and as_word(node.get("code")) == "1203"


def _created_at(task: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(task["create_time"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _old_kind(job: Job) -> str:
    return "image2video" if "first_frame" in job.input else "text2video"


def _old_body(job: Job, callback_url: str) -> dict[str, Any]:
    values, name = job.input, model_of(job.model, job.provider).wire
    if not name or values.get("audio"):
        what = "audio" if name else job.model
        message = f"the older routes, which this input or key needs, do not have {what}"
        raise Refused("BAD_REQUEST", message)
    body = {
        "model_name": name,
        "prompt": values["prompt"],
        "mode": "pro" if values["resolution"] == "1080p" else "std",
        "duration": str(values["duration"]),
        "external_task_id": job.id,
    }
    body |= {"callback_url": callback_url} if callback_url else {}
    body |= {n: values[n] for n in ("negative_prompt", "cfg_scale") if n in values}
    if "first_frame" in values:
        body["image"] = values["first_frame"]
        body |= {"image_tail": values["last_frame"]} if "last_frame" in values else {}
    else:
        body["aspect_ratio"] = values["aspect_ratio"]
    if movement := values.get("camera_control_type"):
        axis = values.get("camera_control_config")
        config = {axis: values["camera_control_config_value"]} if axis else {}
        body["camera_control"] = {"type": movement} | ({"config": config} if config else {})
    return body


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


make = Kling
