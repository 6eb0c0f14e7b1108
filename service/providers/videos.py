"""
Any server that speaks the videos API (vLLM-Omni, SGLang, LocalAI, LiteLLM), polled.

The film itself is behind the key, so it is taken at once: its file is the outcome.
"""

from __future__ import annotations

from urllib.parse import quote

from service.errors import BodyTooLarge, NoAnswer, NotSent, Refused, Unanswered
from service.media.containers import HEAD_BYTES, container_of
from service.model import Job, Outcome, TaskState
from service.providers.base import STATUS_SECONDS, WireRequest
from service.providers.envelope import Vocabulary
from service.providers.links import ResultNames
from service.providers.task_api import TaskApi
from service.storage import StorageError

VIDEO_BYTES = 1024**3
VOCABULARY = Vocabulary(
    state_words={"completed": TaskState.SUCCEEDED, "failed": TaskState.FAILED},
    messages=("error", "message", "detail"),
    results=ResultNames(("url",)),
)


class Videos(TaskApi):
    """The adapter; see `providers.base.Provider`."""

    name = "videos"
    vocabulary = VOCABULARY

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

    def query_path(self, job: Job) -> str:
        """``GET /v1/videos/ID``."""
        return f"/v1/videos/{quote(job.task_id or '', safe='')}"

    def fetch(self, job: Job) -> Outcome:
        """The status; once it is completed, the film, unless the answer says where it lies."""
        found = super().fetch(job)
        if found.state is not TaskState.SUCCEEDED or found.result_url:
            return found
        url = f"{self.access.base_url}{self.query_path(job)}/content"
        if not self.access.api_key:
            return Outcome(TaskState.SUCCEEDED, found.task_id, result_url=url)
        name = f"vid_{job.id.partition('_')[2]}.mp4"
        self._download(url, name)
        return Outcome(TaskState.SUCCEEDED, found.task_id, result_file=name)

    def _download(self, url: str, name: str) -> None:
        """Keep the film on this machine. Raises Unanswered; then it is asked for again."""
        answers = self.access.answers
        try:
            with answers.writing(name) as file:
                answer = self.access.outbound.call(
                    "GET",
                    url,
                    headers=self.headers(),
                    seconds=STATUS_SECONDS,
                    max_bytes=VIDEO_BYTES,
                    into=file,
                )
                file.seek(0)
                if answer.status != 200 or not container_of(file.read(HEAD_BYTES)):
                    said = f"the film's address answered {answer.status}"
                    raise Unanswered("PROVIDER_UNAVAILABLE", f"{said} without a film")
        except (NotSent, NoAnswer, BodyTooLarge, StorageError) as error:
            raise Unanswered("PROVIDER_UNAVAILABLE", f"no film: {error}") from error


make = Videos
