"""Creates at OpenAI's API: its fields in the words of our models."""

from __future__ import annotations

import base64
import io
from contextlib import closing
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.harness import Harness
from support.openai_videos import FOX, IMAGE, VIDEOS, job_of, made
from support.sandboxes import png
from werkzeug.test import TestResponse

from service import store
from service.catalogue.models import MODELS

pytestmark = pytest.mark.postgresql


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"duration": 5, "aspect_ratio": "16:9"}),
        ({"seconds": 10}, {"duration": 10}),
        ({"duration": 10, "aspect_ratio": "1:1"}, {"duration": 10, "aspect_ratio": "1:1"}),
        ({"size": "1920x1080"}, {"aspect_ratio": "16:9"}),
        ({"size": "1024x1024"}, {"aspect_ratio": "1:1"}),
        ({"cfg_scale": 0.3, "negative_prompt": "dogs"}, {"cfg_scale": 0.3}),
        ({"input_reference": {"image_url": IMAGE}}, {"start_image": IMAGE}),
        ({"start_image": IMAGE}, {"start_image": IMAGE}),
        (
            {"model": "kling-2.5-turbo", "image_url": IMAGE, "tail_image_url": IMAGE},
            {"image_url": IMAGE, "tail_image_url": IMAGE, "duration": 10},
        ),
        (
            {"model": "kling-2-5-turbo-pro", "input_reference": {"image_url": IMAGE}},
            {"image_urls": [IMAGE], "mode": "image-to-video"},
        ),
    ],
)
def test_mapping(
    harness: Harness, client: FlaskClient, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each field is the model's own parameter, and others are taken by their names."""
    job = job_of(harness, made(client, **fields))

    assert expected.items() <= job.input.items()
    assert "openai" == job.source


def test_form(harness: Harness, client: FlaskClient) -> None:
    """A form as the SDKs write it says the same as JSON, and its file becomes the first frame."""
    image = png("#c82828")
    form = {
        "model": "kling-2",
        "prompt": "A fox",
        "seconds": "10",
        "cfg_scale": "0.3",
        "metadata[order]": "7",
        "notify[]": ["webhook:http://127.0.0.1:9/a", "*"],
        "input_reference": (io.BytesIO(image), "fox.png", "image/png"),
    }
    video = client.post(VIDEOS, data=form).get_json()
    job = job_of(harness, video)

    assert (10, 0.3, {"order": "7"}) == (
        job.input["duration"],
        job.input["cfg_scale"],
        job.metadata,
    )
    assert job.input["start_image"].startswith(f"{harness.wiring.settings.public_url}/i/")
    ready = harness.wiring.uploads.inlined(MODELS["kling-2"], job.input, harness.clock())
    assert image == base64.b64decode(ready["start_image"])
    assert 2 == len(job.notify or [])


def test_two_files(harness: Harness, client: FlaskClient) -> None:
    """Two files of one name are two frames, and a fault where a model begins with one."""
    form = {"prompt": "A fox", "seconds": "10"}

    def send(model: str, name: str, *colours: str) -> Any:
        files = [(io.BytesIO(png(colour)), "a.png", "image/png") for colour in colours]
        return client.post(VIDEOS, data={**form, "model": model, name: files})

    two = send("kling-2-5-turbo-pro", "input_reference[]", "red", "blue")
    named = send("kling-2-5-turbo-pro", "image_urls", "red", "blue")
    one = send("kling-2", "input_reference[]", "red")
    bad = send("kling-2", "input_reference", "red", "blue")
    none = client.post(VIDEOS, json={**form, "model": "kling-2", "input_reference": []})

    for answer in (two, named):
        assert 2 == len(job_of(harness, answer.get_json()).input["image_urls"])
    assert "start_image" in job_of(harness, one.get_json()).input
    for answer in (bad, none):
        assert (400, "input_reference") == (answer.status_code, answer.get_json()["error"]["param"])


def test_too_many_fields(client: FlaskClient) -> None:
    """A form of endless fields is refused in words."""
    fields = {f"metadata[{n}]": "x" for n in range(200)}
    answer = client.post(VIDEOS, data=fields, content_type="multipart/form-data")

    assert (400, "the form has more than 100 fields") == (
        answer.status_code,
        answer.get_json()["error"]["message"],
    )


def test_an_empty_file(harness: Harness, client: FlaskClient) -> None:
    """A file without content is refused before money is spent; no chosen file is no image."""
    form = {"model": "kling-2", "prompt": "A fox", "seconds": "10"}
    files = [(io.BytesIO(), name, "image/png") for name in ("fox.png", "")]
    bad, plain = [client.post(VIDEOS, data={**form, "input_reference": file}) for file in files]

    assert 400 == bad.status_code
    assert "the file of input_reference is empty" == bad.get_json()["error"]["message"]
    assert "start_image" not in job_of(harness, plain.get_json()).input


def uploads(*names: str) -> list[tuple[io.BytesIO, str, str]]:
    """Files of a form, each with another picture."""
    colors = ("#c82828", "#28c828")
    pictures = zip(names, colors, strict=False)
    return [(io.BytesIO(png(color)), name, "image/png") for name, color in pictures]


def posted(client: FlaskClient, **form: Any) -> TestResponse:
    """The answer to a form."""
    with closing(client.post(VIDEOS, data={"model": "kling-2", "prompt": "A fox"} | form)) as found:
        return found


@pytest.mark.parametrize("field", ["input_reference", "input_reference[]"])
def test_several_files(harness: Harness, client: FlaskClient, field: str) -> None:
    """Each file of a form counts: a model that takes one image refuses two."""
    first, second = uploads("a.png", "b.png")
    refused = posted(client, **{field: [first, second]})
    first, second = uploads("a.png", "b.png")
    taken = posted(client, model="kling-2-5-turbo-pro", **{field: [first, second]})

    assert (400, "input_reference") == (refused.status_code, refused.get_json()["error"]["param"])
    assert "takes one image, not a list of 2" in refused.text
    assert 2 == len(job_of(harness, taken.get_json()).input["image_urls"])


@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "cfg_scale", "seed"])
def test_file_for_a_text(client: FlaskClient, field: str) -> None:
    """A file in place of a text is refused: its base64 would be the prompt of a paid video."""
    refused = posted(client, **{field: (io.BytesIO(b"A fox"), "prompt.txt")})

    assert (400, field) == (refused.status_code, refused.get_json()["error"]["param"])
    assert "not a file" in refused.text


@pytest.mark.parametrize(
    "form",
    [
        {"input_reference": uploads("a.png")[0], "input_reference[image_url]": IMAGE},
        {"input_reference": IMAGE, "input_reference[]": uploads("a.png")[0]},
        {"metadata": "x", "metadata[a]": "1"},
        {"metadata[a]": "1", "metadata[a][b]": "1"},
        {"notify": "*", "notify[]": ["*"]},
    ],
)
def test_same_field_in_two_ways(client: FlaskClient, form: dict[str, Any]) -> None:
    """Neither of both wins in silence."""
    refused = posted(client, **form)

    assert 400 == refused.status_code
    assert "is given twice" in refused.text


def test_objects_in_a_form(harness: Harness, client: FlaskClient) -> None:
    """Objects in objects arrive as they are, to a depth that has an end."""
    made = posted(client, **{"metadata[a][b]": "1", "metadata[a][c]": "2", "metadata[d]": "3"})
    deep = posted(client, **{"metadata" + "[a]" * 5000: "1"})

    assert {"a": {"b": "1", "c": "2"}, "d": "3"} == job_of(harness, made.get_json()).metadata
    assert 400 == deep.status_code


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"model": "sora-2"}, "model", "kling-2"),
        ({"model": None}, "model", "must be one of"),
        ({"prompt": None}, "prompt", "required"),
        ({"seconds": "4"}, "seconds", "must be one of 5, 10"),
        ({"seconds": "8"}, "seconds", "must be one of 5, 10"),
        ({"seconds": "5", "duration": 5}, "seconds", "duration says the same"),
        ({"size": "1024x1792"}, "size", '"1280x720"'),
        ({"size": "1280x720", "aspect_ratio": "16:9"}, "size", "aspect_ratio says the same"),
        (
            {"model": "kling-text2video", "input_reference": {"image_url": IMAGE}},
            "input_reference",
            "these models do: kling-2-5-turbo-pro, kling-2.5-turbo, kling-2",
        ),
        ({"input_reference": {"file_id": "file_1"}}, "input_reference", "no files are kept"),
        ({"input_reference": {"image_url": "fox.jpg"}}, "input_reference", "http(s)"),
        ({"input_reference": {"image_url": None}}, "input_reference", "must be a file"),
        ({"input_reference": {"image_url": ""}}, "input_reference", "must be a file"),
        ({"input_reference": [IMAGE, IMAGE]}, "input_reference", "takes one image"),
        (
            {
                "model": "kling-2-5-turbo-pro",
                "input_reference": {"image_url": IMAGE},
                "size": "1280x720",
            },
            "size",
            "leave size out",
        ),
        ({"seed": 1}, "seed", "takes only prompt, duration"),
        ({"callback_url": "ftp://x"}, "callback_url", "http"),
        ({"notify": 7}, "notify", "list"),
        ({"metadata": "x"}, "metadata", "object"),
    ],
)
def test_what_has_no_place(
    client: FlaskClient, fields: dict[str, Any], param: str, words: str
) -> None:
    """It is refused in OpenAI's shape with the values that are taken; nothing is made."""
    answer = client.post(VIDEOS, json=FOX | fields)
    error = answer.get_json()["error"]

    assert (400, "invalid_request_error", param) == (
        answer.status_code,
        error["type"],
        error["param"],
    )
    assert words in error["message"]
    assert error["code"]
    assert [] == client.get(VIDEOS).get_json()["data"]


def test_every_fault_at_once(client: FlaskClient) -> None:
    """All that is wrong is named in one message."""
    body = {"model": "kling-2", "seconds": "4", "size": "1x1", "callback_url": "x"}
    message = client.post(VIDEOS, json=body).get_json()["error"]["message"]

    assert all(f"{name}: " in message for name in ("prompt", "seconds", "size", "callback_url"))


def test_callback_url(harness: Harness, client: FlaskClient) -> None:
    """`callback_url` hears of the end in OpenAI's shape, besides the account's own."""
    job = job_of(harness, made(client, callback_url="http://127.0.0.1:9/hook"))
    own, hook = sorted(job.notify or [])
    with harness.db.read() as tx:
        subscription = store.subscriptions.find(tx, hook)
    assert subscription is not None

    assert "*" == own
    assert ("openai", ["job.succeeded", "job.failed", "job.canceled"]) == (
        subscription.format,
        subscription.events,
    )


SOLD: dict[str, Any] = {"kling_api_key": "k", "fal_api_key": "k"}


@pytest.mark.parametrize("settings_given", [SOLD])
@pytest.mark.parametrize(
    ("model", "size", "provider", "lines"),
    [
        ("kling-2.6", "1280x720", "kling", "720p"),
        ("kling-2.6", "1080x1920", "kling", "1080p"),
        ("kling-3.0-turbo", "720x720", "kling", "720p"),
        ("kling-2.5-turbo", "1280x720", "kling", "720p"),
        ("kling-2.5-turbo", "1024x1024", "fal", None),
    ],
)
def test_lines(
    harness: Harness, client: FlaskClient, model: str, size: str, provider: str, lines: str | None
) -> None:
    """A size is as many lines where the vendor takes them, so that nobody pays for more."""
    job = job_of(harness, made(client, model=model, size=size))

    assert (provider, lines) == (job.provider, job.input.get("resolution"))


@pytest.mark.parametrize("settings_given", [SOLD])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "kling-2.6", "size": "1024x1024"}, '"720x720"'),
        ({"model": "kling-3.0-turbo", "size": "1024x1024"}, '"720x720"'),
        ({"model": "kling-2.6", "size": "1280x720", "resolution": "1080p"}, "is not 1080p"),
    ],
)
def test_other_lines(client: FlaskClient, fields: dict[str, Any], words: str) -> None:
    """One that no vendor makes is refused, and one that contradicts the lines."""
    error = client.post(VIDEOS, json=FOX | fields).get_json()["error"]

    assert "size" == error["param"]
    assert words in error["message"]


@pytest.mark.parametrize("model", [["kling-2"], {"a": 1}, 7, True])
def test_what_is_no_name(client: FlaskClient, model: Any) -> None:
    """A model that is no text is refused like an unknown one."""
    answer = client.post(VIDEOS, json=FOX | {"model": model})

    assert (400, "model") == (answer.status_code, answer.get_json()["error"]["param"])
