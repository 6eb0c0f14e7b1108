"""
Any server that speaks the videos API (vLLM-Omni, SGLang, LocalAI, LiteLLM), polled.

The film itself is behind the key, if there is one.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from service.catalogue.models import model_of
from service.errors import Refused
from service.media.image_formats import decode, is_url
from service.model import Job, Submission, TaskState
from service.providers.answers import read_created_task
from service.providers.base import WireRequest, send_create
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.task_api import TaskApi
from service.storage.uploads import fetch_image, with_inlined_images

VOCABULARY = Vocabulary(
    other_ids=("videoid", "taskid"),
    wrappers=("data", "video"),
    state_words={"completed": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    messages=("error", "message", "detail"),
    results=ResultNames(("url",)),
)

#: With these a server refuses a body that it cannot read. vLLM-Omni reads forms alone, which
#: OpenAI's libraries send, and others JSON alone.
UNREAD = ("415", "422")


class Videos(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "videos"
    vocabulary = VOCABULARY
    private_path = "/"
    content_path = "/content"

    def headers(self) -> dict[str, str]:
        """A server of one's own may need no key."""
        return super().headers() if self.access.api_key else {}

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """``POST /v1/videos`` or ``…/ID/remix``; no place for `callback_url`. Raises Refused."""
        values = dict(job.input)
        served = self.access.settings.videos_models
        model = values.pop("model", served[0] if served else None)
        if model is None or (served and model not in served):
            known = ", ".join(served) or "none: set CLIPBELL_VIDEOS_MODELS"
            message = f"model {model!r} is not served; the models are {known}"
            raise Refused("NOT_FOUND_MODEL", message)
        if source := values.get("remix_of"):
            path = f"/v1/videos/{quote(source, safe='')}/remix"
            return self.wire(path, {"prompt": values["prompt"]})
        body = {
            "model": model,
            "prompt": values["prompt"],
            "seconds": str(values["duration"]),
            "size": values["size"],
        }
        if image := values.get("input_reference"):
            body["input_reference"] = {"image_url": image}
        return self.wire("/v1/videos", body)

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Create the video; by a form where the server does not read JSON, and says so."""
        try:
            return super().submit(job, callback_url)
        except Refused as refused:
            if refused.provider_code not in UNREAD:
                raise
        request = self.request_for(job, callback_url)
        fields = request.body | self._image_file(job)
        form = replace(request, body=fields, is_form=True)
        answer = send_create(self.access.outbound, form, self.submit_seconds)
        return Submission(read_created_task(answer, self.vocabulary))

    def _image_file(self, job: Job) -> dict[str, bytes]:
        """The first frame as the file of a form. Raises Refused."""
        model = model_of(job.model, job.provider)
        ready = with_inlined_images(self.access.uploads, model, job, self.access.clock())
        image = ready.input.get("input_reference")
        if not image:
            return {}
        content = fetch_image(self.access.outbound, image) if is_url(image) else decode(image)[0]
        if content is None:
            raise Refused("IMAGE_DOWNLOAD_FAILED", "the image's address did not answer")
        return {"input_reference": content}

    def query_path(self, job: Job) -> str:
        """``GET /v1/videos/ID``."""
        return f"/v1/videos/{quote(job.task_id or '', safe='')}"


make = Videos
