"""Videos made of videos, by models of one's own server, and that server's models by their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openai import BadRequestError, OpenAI
from support.harness import Harness
from support.node import need_node, npm_install, run
from support.sandboxes import start_sandbox
from support.servers import Clipbell

from service import store
from service.model import JobState

CLIENTS = Path(__file__).parent / "clients"
VIDEOS = "/v1/videos"
OWN: dict[str, Any] = {"videos_base_url": "http://127.0.0.1:9", "videos_models": "own,other"}


@pytest.fixture
def settings_given() -> dict[str, Any]:
    """A server of one's own, with two models."""
    return OWN


def completed(harness: Harness, client: FlaskClient, **fields: Any) -> str:
    """A video that is completed; its id."""
    video_id: str = client.post(VIDEOS, json={"prompt": "A fox"} | fields).get_json()["id"]
    changes = {"state": JobState.SUCCEEDED, "task_id": "video_7", "finished_at": harness.clock()}
    with harness.db.write() as tx:
        store.jobs.change(tx, video_id, [JobState.QUEUED], **changes)
    return video_id


def test_remix(harness: Harness, client: FlaskClient) -> None:
    """Its model, length and size stay; only the prompt goes to the vendor's own remix."""
    source = completed(harness, client, model="other", seconds="7", size="1024x1792")
    answer = client.post(f"{VIDEOS}/{source}/remix", json={"prompt": "A hare", "notify": []})
    video = answer.get_json()
    with harness.db.read() as tx:
        job = store.jobs.find(tx, video["id"])
    assert job is not None
    wire = harness.wiring.providers["videos"].request_for(job, "")

    assert (source, "other", "7", "1024x1792", "A hare", "queued") == (
        video["remixed_from_video_id"],
        video["model"],
        video["seconds"],
        video["size"],
        video["prompt"],
        video["status"],
    )
    assert ("http://127.0.0.1:9/v1/videos/video_7/remix", {"prompt": "A hare"}) == (
        wire.url,
        wire.body,
    )
    assert [] == job.notify
    assert video == client.get(f"{VIDEOS}/{video['id']}").get_json()


def test_refused_remixes(harness: Harness, client: FlaskClient) -> None:
    """A model that takes no video, an open video, a wrong field: nothing is made."""
    kling, source = (
        completed(harness, client, model="kling-2"),
        completed(harness, client, model="own"),
    )
    waiting = client.post(VIDEOS, json={"model": "own", "prompt": "A fox"}).get_json()["id"]
    before = len(client.get(VIDEOS).get_json()["data"])
    hare = {"prompt": "A hare"}
    found = [
        client.post(f"{VIDEOS}/{video}/remix", json=body).get_json()["error"]
        for video, body in [
            (kling, hare),
            (waiting, hare),
            (source, {}),
            (source, hare | {"seconds": "5"}),
            ("job_0", hare),
        ]
    ]

    assert [
        ("unsupported", None),
        ("video_not_completed", None),
        ("required", "prompt"),
        ("unknown_field", "seconds"),
        ("not_found", None),
    ] == [(error["code"], error["param"]) for error in found]
    assert "videos (your own server)" in found[0]["message"]
    assert "input_reference: kling-2-5-turbo-pro" in found[0]["message"]
    assert before == len(client.get(VIDEOS).get_json()["data"])


def test_an_image_besides(client: FlaskClient) -> None:
    """A video starts from another video or from an image, not from both."""
    image = {"image_url": "https://pictures.example/a.jpg"}
    body = {"model": "own", "prompt": "A hare", "remix_of": "video_7", "input_reference": image}
    error = client.post(VIDEOS, json=body).get_json()["error"]

    assert ("input_reference", "not_allowed") == (error["param"], error["code"])


@pytest.mark.parametrize("name", ["own", "other"])
def test_names_of_the_settings(client: FlaskClient, name: str) -> None:
    """A model of VIDEOS_MODELS goes by its own name; its sizes are those of the wire."""
    video = client.post(VIDEOS, json={"model": name, "prompt": "A fox", "size": "1792x1024"})
    wrong = client.post(VIDEOS, json={"model": name, "prompt": "A fox", "size": "1x1"})
    job = client.get(f"/v1/jobs/{video.get_json()['id']}").get_json()

    assert (name, "1792x1024") == (video.get_json()["model"], video.get_json()["size"])
    assert ("videos", name) == (job["model"], job["input"]["model"])
    assert (400, "size") == (wrong.status_code, wrong.get_json()["error"]["param"])
    assert "1024x1792" in wrong.get_json()["error"]["message"]


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """The running service, whose own server is the sandbox."""
    folder = tmp_path_factory.mktemp("own")
    with start_sandbox(folder / "provider") as server:
        given = {"poll_after": "0.2", "poll_every": "0.2", "videos_api_key": "test"}
        given |= {"videos_base_url": server.url, "videos_models": "own"}
        with Clipbell(folder, server.url, **given) as made:
            yield made.start()


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
def test_python_library(clipbell: Clipbell) -> None:
    """The library of PyPI remixes a video; one of another model it cannot, and reads why."""
    with OpenAI(api_key=clipbell.key, base_url=f"{clipbell.url}/v1") as openai:
        source = openai.videos.create_and_poll(model="own", prompt="A fox")
        made = openai.videos.poll(openai.videos.remix(source.id, prompt="A hare").id)
        content = openai.videos.download_content(made.id).read()
        other = openai.videos.create_and_poll(model="kling-2-5-turbo-pro", prompt="A fox")
        with pytest.raises(BadRequestError) as caught:
            openai.videos.remix(other.id, prompt="A hare")

    assert ("completed", source.id, "A hare", source.seconds) == (
        made.status,
        made.remixed_from_video_id,
        made.prompt,
        made.seconds,
    )
    assert b"ftyp" == content[4:8]
    assert "unsupported" == caught.value.code


def test_node_library(clipbell: Clipbell, tmp_path: Path) -> None:
    """That of npm, too."""
    need_node(20)
    npm_install(tmp_path, "openai")
    (tmp_path / "remix.mjs").write_text((CLIENTS / "remix.mjs").read_text())
    environ = {"OPENAI_BASE_URL": f"{clipbell.url}/v1", "OPENAI_API_KEY": clipbell.key}
    said = json.loads(run(["node", "remix.mjs"], tmp_path, **environ))

    assert {"last": "completed", "source": True, "refused": [400, "unknown_field"]} == said
