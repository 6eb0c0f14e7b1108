"""
Programs written for the vendors' APIs, run against us with origin and key changed.

`samples/` holds the vendors' published samples as they stand on their pages.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from segmind import SegmindClient
from segmind.exceptions import SegmindError
from segmind.v2 import InferenceFailed
from support.node import finish, need_node, npm_install, run
from support.sandboxes import png
from support.servers import Clipbell

SAMPLES = Path(__file__).parents[2] / "samples"
ORIGIN = "https://api.segmind.com"


@pytest.fixture(scope="module")
def clipbell(running: Clipbell) -> Clipbell:
    """The running service in front of the sandbox."""
    return running


def sample(name: str, clipbell: Clipbell) -> str:
    """A published sample with origin and key changed, nothing else."""
    text = (SAMPLES / name).read_text()
    changed = text.replace(ORIGIN, clipbell.url)
    return changed.replace("YOUR_API_KEY", clipbell.key).replace("YOUR API-KEY", clipbell.key)


@pytest.mark.parametrize(
    "name",
    [
        "kling_2.py.txt",
        pytest.param("kling_2_5_turbo.py.txt", marks=pytest.mark.slow),
        pytest.param("kling_text2video.py.txt", marks=pytest.mark.slow),
    ],
)
def test_python_sample(name: str, clipbell: Clipbell, tmp_path: Path) -> None:
    """Each vendor page's Python sample prints a finished request whose output plays."""
    (tmp_path / "sample.py").write_text(sample(name, clipbell))
    found = json.loads(run([sys.executable, "sample.py"], tmp_path))
    video = clipbell.call("GET", found["output"])

    assert "COMPLETED" == found["status"]
    assert (200, "video/mp4") == (video.status, video.headers["Content-Type"])
    assert b"ftyp" == video.body[4:8]


@pytest.fixture(scope="module")
def axios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds axios."""
    need_node(18)
    folder = tmp_path_factory.mktemp("axios")
    npm_install(folder, "axios")
    return folder


#: The sample's body in its broken part.
BROKEN = {"prompt": "A fox", "image_url": "toB64('null')"}


def node(folder: Path, program: str) -> str:
    """What a program for node writes, to either stream."""
    (folder / "sample.js").write_text(program)
    done = finish(["node", "sample.js"], folder)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_javascript_sample(clipbell: Clipbell, axios: Path) -> None:
    """The axios sample's literal, broken image gets its 400 with the field's name."""
    said = node(axios, sample("kling_2_5_turbo.js.txt", clipbell))

    assert "Error:" in said
    assert "image_url" in said
    assert 400 == clipbell.call("POST", "/v1/kling-2.5-turbo", BROKEN).status


@pytest.mark.slow
def test_javascript_sample_with_an_image(clipbell: Clipbell, axios: Path) -> None:
    """With the base64 of a real image the axios sample succeeds."""
    image = base64.b64encode(png("#c82828")).decode()
    said = node(axios, sample("kling_2_5_turbo.js.txt", clipbell).replace("toB64('null')", image))

    assert "Error:" not in said
    assert "COMPLETED" in said


@pytest.fixture
def segmind(clipbell: Clipbell) -> Iterator[SegmindClient]:
    """Segmind's own SDK, pointed at us."""
    client = SegmindClient(api_key=clipbell.key, base_url=f"{clipbell.url}/v1", timeout=60.0)
    yield client
    client._client.close()


def test_sdk_run_sync(segmind: SegmindClient) -> None:
    """`run_sync` of the SDK holds on and gets the finished request."""
    answer = segmind.run_sync("kling-2", prompt="A fox", duration=5)

    assert (200, "COMPLETED") == (answer.status_code, answer.json()["status"])
    assert answer.headers["x-request-id"].startswith("job_")
    assert "1.75" == answer.headers["x-cost"]


def test_sdk_submit_and_wait(clipbell: Clipbell, segmind: SegmindClient) -> None:
    """`submit_async` and `wait` of the SDK end in an output that plays."""
    job = segmind.submit_async("kling-text2video", prompt="A fox", mode="std")
    done = job.wait(timeout=60, interval=0.2)

    assert job.request_id == done["request_id"]
    assert b"ftyp" == clipbell.call("GET", done["output"]).body[4:8]
    assert 0.28 == done["metrics"]["cost"]


def test_sdk_failure(segmind: SegmindClient) -> None:
    """A job that fails at the vendor raises the SDK's own InferenceFailed, with the reason."""
    job = segmind.submit_async("kling-2.5-turbo", prompt="[fail NSFW_DETECTED] A fox")
    with pytest.raises(InferenceFailed) as caught:
        job.wait(timeout=60, interval=0.2)

    assert "NSFW_DETECTED" in str(caught.value.detail)


def test_sdk_refusals(clipbell: Clipbell) -> None:
    """Bad input, a bad key and an unknown model raise the SDK's error with status and words."""
    good = SegmindClient(api_key=clipbell.key, base_url=f"{clipbell.url}/v1")
    bad = SegmindClient(api_key="clb_wrong", base_url=f"{clipbell.url}/v1")
    found = []
    for client, slug, values in (
        (good, "kling-2", {"prompt": "A fox", "duration": 7}),
        (bad, "kling-2", {"prompt": "A fox"}),
        (good, "kling-9", {"prompt": "A fox"}),
    ):
        with pytest.raises(SegmindError) as caught:
            client.submit_async(slug, **values)
        found.append((caught.value.status, bool(caught.value.detail)))
    for client in (good, bad):
        client._client.close()

    assert [(400, True), (401, True), (404, True)] == found


def test_video_bytes_where_they_are_asked_for(clipbell: Clipbell) -> None:
    """`Accept: video/mp4` gets the MP4 itself from the same address."""
    answer = httpx.post(
        f"{clipbell.url}/v1/kling-2",
        json={"prompt": "A fox", "duration": "5"},
        headers={"x-api-key": clipbell.key, "Accept": "video/mp4"},
        timeout=60,
        trust_env=False,
    )

    assert ("video/mp4", "Accept") == (answer.headers["content-type"], answer.headers["vary"])
    assert b"ftyp" == answer.content[4:8]
