"""
kie.ai's market: ``createTask`` and ``recordInfo``.

HTTP 200 says nothing: `code` is the answer. Its signature covers the task's id and the time
alone, so a callback is only ever a reason to ask.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from service.catalogue.models import model_of
from service.model import Job
from service.providers.apixo import VOCABULARY as RELATED
from service.providers.base import WireRequest
from service.providers.schemes import IdTimeHmac, Scheme
from service.providers.task_api import TaskApi

VOCABULARY = replace(
    RELATED,
    state_words={},
    request_codes=("code",),
    #: Maintenance, and a feature that is switched off.
    refusals={"455": "PROVIDER_UNAVAILABLE", "505": "FORBIDDEN"},
    sure=frozenset({"455", "505"}),
    charges=(("creditsconsumed", "", "credit"),),
)


class Kie(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "kie"
    vocabulary = VOCABULARY

    def make_scheme(self) -> Scheme | None:
        """HMAC over id and time, where the account has a key for it."""
        secret = self.access.webhook_secret
        names = ("x-webhook-signature", "x-webhook-timestamp")
        return IdTimeHmac(secret, *names) if secret else None

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /api/v1/jobs/createTask``."""
        values = dict(job.input)
        kind = "image-to-video" if "image_url" in values else "text-to-video"
        if "image_url" in values:
            # The image decides the shape.
            values.pop("aspect_ratio")
        values["duration"] = str(values["duration"])
        model = f"{model_of(job.model, job.provider).wire}-{kind}-pro"
        body = {"model": model, "input": values}
        body |= {"callBackUrl": callback_url} if callback_url else {}
        return self.wire("/api/v1/jobs/createTask", body)

    def query_path(self, job: Job) -> str:
        """``GET /api/v1/jobs/recordInfo``."""
        return f"/api/v1/jobs/recordInfo?taskId={quote(job.task_id or '', safe='')}"


make = Kie
