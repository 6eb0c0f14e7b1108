"""The unchanged `openai` libraries of PyPI and npm, and LiteLLM, against our API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from openai import (
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    OpenAI,
)
from support.coroutines import run_coroutine
from support.node import need_node, npm_install, run
from support.sandboxes import png
from support.servers import Clipbell

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

CLIENTS = Path(__file__).parent / "clients"
MODEL = "kling-2-5-turbo-pro"
ORDERS: tuple[Literal["desc"], Literal["asc"]] = ("desc", "asc")


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


@pytest.fixture
def openai(clipbell: Clipbell) -> Iterator[OpenAI]:
    """The library of PyPI, pointed at us."""
    with OpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as client:
        yield client


def environ_of(clipbell: Clipbell) -> dict[str, str]:
    """The two variables that point a program at us."""
    return {"OPENAI_BASE_URL": f"{clipbell.url}/v1", "OPENAI_API_KEY": clipbell.key}


def test_python(openai: OpenAI) -> None:
    """Create and poll, download, list and delete."""
    # The library's types know only the lengths of models that have ended.
    made: Any = {"model": MODEL, "prompt": "A fox", "seconds": "5", "size": "1280x720"}
    video = openai.videos.create_and_poll(**made)
    content = openai.videos.download_content(video.id)
    thumbnail = openai.videos.download_content(video.id, variant="thumbnail")
    listed = [one.id for one in openai.videos.list(limit=1)]
    deleted = openai.videos.delete(video.id)
    with pytest.raises(NotFoundError):
        openai.videos.retrieve(video.id)

    assert ("completed", 100, "5", None) == (
        video.status,
        video.progress,
        video.seconds,
        video.error,
    )
    assert (b"ftyp", b"\xff\xd8\xff") == (content.read()[4:8], thumbnail.read()[:3])
    assert video.id in listed
    assert deleted.deleted


def test_python_with_an_image(clipbell: Clipbell, openai: OpenAI) -> None:
    """A file and parameters of the model's own reach the job."""
    video = openai.videos.create(
        model="kling-2",
        prompt="A fox",
        input_reference=("fox.png", png("#c82828"), "image/png"),
        extra_body={"cfg_scale": 0.3, "notify": [], "metadata": {"order": "7"}},
    )
    job = clipbell.job(video.id)

    assert (0.3, {"order": "7"}) == (job["input"]["cfg_scale"], job["metadata"])
    assert clipbell.call("GET", job["input"]["start_image"]).body.startswith(b"\x89PNG")


def test_python_failures(openai: OpenAI) -> None:
    """A video that fails says why, and a refusal names the field."""
    failed = openai.videos.create_and_poll(
        model=MODEL, prompt="[fail SensitiveContentDetected] A fox"
    )
    with pytest.raises(BadRequestError) as caught:
        openai.videos.create(model=MODEL, prompt="A fox", seconds="8")

    assert failed.error is not None
    assert ("failed", "CONTENT_VIOLATION") == (failed.status, failed.error.code)
    assert ("seconds", "not_allowed") == (caught.value.param, caught.value.code)
    assert "5, 10" in caught.value.message


def test_python_errors(openai: OpenAI) -> None:
    """Each refusal is the exception that programs catch, and none is repeated in vain."""
    slow = openai.videos.create(model=MODEL, prompt="[slow 60] A fox")
    with pytest.raises(ConflictError) as running:
        openai.videos.delete(slow.id)
    with pytest.raises(NotFoundError) as early:
        openai.videos.download_content(slow.id)
    with pytest.raises(BadRequestError) as page:
        openai.videos.list(after="video_1")
    stranger = openai.with_options(api_key="clb_x")
    with pytest.raises(AuthenticationError) as unknown:
        stranger.videos.retrieve(slow.id)

    assert "false" == running.value.response.headers["x-should-retry"]
    assert "has no content" in early.value.message
    assert ("after", "invalid_api_key") == (page.value.param, unknown.value.code)


def test_python_pages(openai: OpenAI) -> None:
    """The library pages through all videos in either order, each once."""
    made = [openai.videos.create(model=MODEL, prompt=f"Fox {n}").id for n in range(3)]
    newest, oldest = (
        [one.id for one in openai.videos.list(limit=2, order=order) if one.id in made]
        for order in ORDERS
    )

    assert (made[::-1], made) == (newest, oldest)


def test_python_asynchronously(clipbell: Clipbell) -> None:
    """The asynchronous client, with an image in a URL of its own."""
    data = "data:image/png;base64," + base64.b64encode(png("#c82828")).decode()

    async def make() -> Any:
        async with AsyncOpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as client:
            return await client.videos.create_and_poll(
                model=MODEL, prompt="A fox", extra_body={"input_reference": {"image_url": data}}
            )

    video = run_coroutine(make)

    assert "completed" == video.status
    assert [video.id] == [clipbell.job(video.id)["id"]]
    assert "image-to-video" == clipbell.job(video.id)["input"]["mode"]


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the library of npm."""
    need_node(20)
    folder = tmp_path_factory.mktemp("openai")
    npm_install(folder, "openai")
    return folder


def test_node(clipbell: Clipbell, npm: Path) -> None:
    """Create, poll, download, list and delete."""
    (npm / "fox.png").write_bytes(png("#c82828"))
    (npm / "videos.mjs").write_text((CLIENTS / "videos.mjs").read_text())
    said = run(["node", "videos.mjs", "fox.png"], npm, **environ_of(clipbell))

    assert {
        "first": "queued",
        "last": "completed",
        "brand": "ftyp",
        "thumbnail": "image/jpeg",
        "listed": True,
        "refused": [400, "seconds"],
        "deleted": True,
        "gone": 404,
    } == json.loads(said)
