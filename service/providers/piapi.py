"""PiAPI: one task API for many models; its callbacks bear the shared secret in a header."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from service.catalogue.models import model_of
from service.model import Job, TaskState
from service.providers.base import WireRequest
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Scheme, SharedHeader, secrets_in
from service.providers.task_api import TaskApi

VOCABULARY = Vocabulary(
    task_ids=("taskid",),
    wrappers=("data",),
    state_words={"completed": TaskState.SUCCEEDED, "staged": TaskState.RUNNING},
    codes=("code",),
    messages=("error", "rawmessage", "message"),
    results=ResultNames(
        ("output", "videourl", "works", "video", "resourcewithoutwatermark", "resource", "url")
    ),
    charges=(("meta.usage", "consume", "type"),),
)


class Piapi(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "piapi"
    vocabulary = VOCABULARY
    key_header = "x-api-key"
    key_prefix = ""

    def make_scheme(self) -> Scheme | None:
        """The secret itself, which each create brings along."""
        secret = self.access.webhook_secret
        return SharedHeader(secret, "x-webhook-secret") if secret else None

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /api/v1/task``."""
        secrets = secrets_in(self.access.webhook_secret)[:1]
        webhook: dict[str, Any] = {"endpoint": callback_url}
        webhook |= {"secret": secrets[0]} if secrets else {}
        config = {"service_mode": "public"} | ({"webhook_config": webhook} if callback_url else {})
        values = job.input | {"version": model_of(job.model, job.provider).wire}
        body = {
            "model": "kling",
            "task_type": "video_generation",
            "input": values,
            "config": config,
        }
        return self.wire("/api/v1/task", body)

    def query_path(self, job: Job) -> str:
        """``GET /api/v1/task/ID``."""
        return f"/api/v1/task/{quote(job.task_id or '', safe='')}"


make = Piapi
