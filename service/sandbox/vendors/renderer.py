"""A task's life: accept it, fetch its images, render the video, report the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.catalogue.models import Model
from service.sandbox.options import SandboxOptions
from service.sandbox.rendering.images import BadImage, load_image, load_or_stand_in
from service.sandbox.rendering.render import Scene, render_video
from service.sandbox.vendors.callback_sender import CallbackJob, CallbackSender, Signer
from service.sandbox.vendors.fault_orders import FaultOrders
from service.sandbox.vendors.schedule import Schedule
from service.sandbox.vendors.tasks import PROCESSING, SUCCESS, Task, TaskBook

RENDERERS = 2
CallbackBodies = Callable[[Task], tuple[bytes, ...]]

FAIL_MESSAGES = {
    "CONTENT_VIOLATION": "Content violates usage policy",
    "NSFW_DETECTED": "NSFW content detected",
    "PROMPT_TOO_LONG": "Prompt exceeds the maximum length",
    "INVALID_PROMPT": "Prompt is invalid",
    "INVALID_IMAGE_URL": "Image URL is invalid or not reachable",
    "IMAGE_TOO_LARGE": "Image exceeds the 10MB limit",
    "UNSUPPORTED_FORMAT": "Image must be a JPG, PNG or WebP",
    "IMAGE_DOWNLOAD_FAILED": "Image could not be downloaded",
    "PROCESSING_TIMEOUT": "Processing took too long",
    "MODEL_UNAVAILABLE": "Model is temporarily unavailable",
    "GENERATION_FAILED": "Generation failed, please try again with different parameters",
    "INSUFFICIENT_CREDITS": "Insufficient credits",
}


class Renderer:
    """Makes the videos of one sandbox; `book` knows how far each is."""

    def __init__(self, options: SandboxOptions) -> None:
        options.folder.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.book = TaskBook(options.credits)
        self._renderers = ThreadPoolExecutor(RENDERERS, thread_name_prefix="sandbox-render")
        self._ends = Schedule(1, "sandbox-end")
        self._callback_sender = CallbackSender(self.book, options.retry_delays)

    def open_task(
        self,
        model: Model,
        key: str,
        values: dict[str, Any],
        host_url: str,
        *,
        cost: float,
        callback_url: str | None = None,
        orders: FaultOrders | None = None,
        external_id: str = "",
    ) -> Task:
        """A task that is not accepted yet; the orders in its prompt are read and taken out."""
        written, prompt = FaultOrders.read(values["prompt"])
        return Task(
            id=uuid.uuid4().hex,
            model=model,
            key=key,
            values=values | {"prompt": prompt},
            fault_orders=(orders or FaultOrders()).and_also(written),
            base_url=(self.options.public_url or host_url).rstrip("/"),
            created=time.time(),
            cost=cost,
            callback_url=callback_url,
            external_id=external_id,
        )

    def accept(
        self,
        task: Task,
        callback_bodies: CallbackBodies | None = None,
        sign: Signer | None = None,
    ) -> bool:
        """Begin the work; False where the credits are too few. Raises DuplicateTask."""
        if not self.book.add(task):
            return False
        self._renderers.submit(self._work, task, callback_bodies, sign)
        return True

    def close(self) -> None:
        """Stops all threads; unfinished tasks stay unfinished."""
        self.book.close()
        self._ends.close()
        self._renderers.shutdown(wait=True, cancel_futures=True)
        self._callback_sender.close()

    def _work(
        self, task: Task, callback_bodies: CallbackBodies | None, sign: Signer | None
    ) -> None:
        self.book.change(task.id, state=PROCESSING, started=time.time())
        failure = self._made(task)
        least = max(self.options.pace, task.fault_orders.number("slow", 0))
        wait = max(0.0, task.created + least - time.time())
        self._ends.after(wait, lambda: self._end(task, failure, callback_bodies, sign))

    def _made(self, task: Task) -> tuple[str, str] | None:
        """Makes the file; returns code and message of the failure, None where there is one."""
        if task.fault_orders.has("fail"):
            code = task.fault_orders.argument("fail", "GENERATION_FAILED").split()[0]
            return code, FAIL_MESSAGES.get(code, f"Task failed: {code}")
        try:
            scene = scene_of(task)
            path, options = self.options.folder / task.file_name, self.options
            render_video(path, scene, options.height, options.frame_rate)
        except BadImage as bad:
            return bad.code, str(bad)
        except Exception as error:  # a thread's fault must end the task, not vanish in the pool
            return "GENERATION_FAILED", f"{type(error).__name__}: {error}"
        return None

    def _end(
        self,
        task: Task,
        failure: tuple[str, str] | None,
        callback_bodies: CallbackBodies | None,
        sign: Signer | None,
    ) -> None:
        if failure:
            ended = self.book.fail(task.id, *failure)
        else:
            ended = self.book.change(task.id, state=SUCCESS, completed=time.time())
        if callback_bodies and task.callback_url and not task.fault_orders.has("lose"):
            job = CallbackJob(task.id, task.callback_url, callback_bodies(ended), sign=sign)
            self._callback_sender.send(job)


def scene_of(task: Task) -> Scene:
    """
    What the task's video shows.

    Raises:
        BadImage: if one of its images cannot be used.
    """
    values = task.values
    load = load_or_stand_in if task.model.provider == "segmind" else load_image
    single = (values.get(name) for name in ("start_image", "image_url", "tail_image_url"))
    given = [*values.get("image_urls", []), *(image for image in single if image)]
    images = [load(one) for one in given]
    axis = values.get("camera_control_config")
    move = values.get("camera_control_type")
    return Scene(
        prompt=values["prompt"],
        seconds=values["duration"],
        aspect_ratio=values.get("aspect_ratio", "16:9"),
        start_image=images[0] if images else None,
        end_image=images[1] if len(images) > 1 else None,
        camera=(axis, values["camera_control_config_value"]) if axis else move,
        negative_prompt=values.get("negative_prompt", ""),
        label=f"{task.model.title} · {values['duration']} s · sandbox",
    )
