"""OpenRouter's videos: dollars in the answer, and a callback signed over time and body."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from service.catalogue.models import model_of
from service.model import Job, TaskState
from service.providers.base import WireRequest
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.schemes import Scheme, TimedHmac
from service.providers.task_api import TaskApi

VOCABULARY = Vocabulary(
    wrappers=("data",),
    state_words={"completed": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    messages=("error", "message"),
    # Those that are signed need no key, and some answers lack them.
    results=ResultNames(("urls", "unsignedurls", "url")),
    charges=(("usage", "cost", ""),),
)


class OpenRouter(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "openrouter"
    vocabulary = VOCABULARY
    private_path = "/api/v1/videos/"
    content_path = "/content?index=0"

    def make_scheme(self) -> Scheme | None:
        """``t=,v1=`` with a comma between time and body."""
        secret = self.access.webhook_secret
        return TimedHmac(secret, "x-openrouter-signature", ",") if secret else None

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /api/v1/videos``."""
        values = job.input
        body: dict[str, Any] = {
            "model": f"{model_of(job.model, job.provider).wire}-{values['mode']}",
        }
        body |= {"callback_url": callback_url} if callback_url else {}
        same = ("prompt", "duration", "aspect_ratio", "generate_audio")
        body |= {name: values[name] for name in same}
        frames = [name for name in ("first_frame", "last_frame") if name in values]
        if frames:
            # The image decides the shape.
            body.pop("aspect_ratio")
            body["frame_images"] = [
                {"type": "image_url", "image_url": {"url": values[name]}, "frame_type": name}
                for name in frames
            ]
        return self.wire("/api/v1/videos", body)

    def query_path(self, job: Job) -> str:
        """``GET /api/v1/videos/ID``."""
        return f"/api/v1/videos/{quote(job.task_id or '', safe='')}"


make = OpenRouter
