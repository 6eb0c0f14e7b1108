"""What the sandbox's Segmind takes, refuses and charges for."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.sandboxes import Pictures, SandboxClient, png

TURBO, TEXT, TWO = "kling-2.5-turbo", "kling-text2video", "kling-2"
FOX = {"prompt": "A fox", "duration": 5}
CAMERA = {"camera_control_type": "simple", "camera_control_config": "pan"}


def made(sandbox: SandboxClient, slug: str, **body: Any) -> Any:
    """The result of a request to version 2, as soon as it is over."""
    answer = sandbox.call("POST", f"/v2/{slug}", FOX | body)
    assert 200 == answer.status, answer.body
    request_id = sandbox.ended(answer.json()["request_id"]).id
    return sandbox.call("GET", f"/v2/requests/{request_id}").json()


@pytest.mark.parametrize(
    ("slug", "name", "value"),
    [
        (TURBO, "prompt", ""),
        (TURBO, "mode", "std"),
        (TURBO, "tail_image_url", "https://example.com/a.png"),
        (TURBO, "image_url", "toB64('null')"),
        (TURBO, "cfg_scale", 1.5),
        (TURBO, "start_image", "https://example.com/a.png"),
        (TWO, "mode", "pro"),
        (TWO, "image_url", "https://example.com/a.png"),
        (TWO, "duration", 7),
        (TWO, "aspect_ratio", "4:3"),
        (TEXT, "mode", "fast"),
        (TEXT, "image_url", "https://example.com/a.png"),
        (TEXT, "camera_control_type", "spin"),
        (TEXT, "camera_control_config", "yaw"),
        (TEXT, "camera_control_config_value", 11),
    ],
)
def test_input_refused(sandbox: SandboxClient, slug: str, name: str, value: Any) -> None:
    """A parameter outside the documents is a 400 that tells about it."""
    answer = sandbox.call("POST", f"/v2/{slug}", FOX | {name: value})

    assert (400, ["error"]) == (answer.status, list(answer.json()))
    assert name.removeprefix("tail_") in answer.json()["error"]


@pytest.mark.parametrize(
    ("slug", "change"),
    [
        (TURBO, {"duration": "5", "mode": "pro", "cfg_scale": 0.7, "negative_prompt": "blur"}),
        (TURBO, {"image_url": None, "tail_image_url": ""}),
        (TEXT, {"camera_control_config": "", "camera_control_config_value": ""}),
        (TEXT, CAMERA | {"camera_control_config_value": -10}),
        (TEXT, {"camera_control_type": "down_back", "mode": "pro"}),
        (TWO, {"aspect_ratio": "9:16"}),
    ],
)
def test_input_taken(sandbox: SandboxClient, slug: str, change: dict[str, Any]) -> None:
    """The documents' own values pass, blanks and durations as text among them."""
    assert "COMPLETED" == made(sandbox, slug, **change)["status"]


def test_images_as_base64_and_url(sandbox: SandboxClient) -> None:
    """An image may be plain base64, a data URI or an address."""
    plain = base64.b64encode(png("#c04020")).decode()
    with Pictures(png("#2040c0")) as pictures:
        ends = [
            made(sandbox, TURBO, image_url=plain, tail_image_url=pictures.url(0)),
            made(sandbox, TWO, start_image="data:image/png;base64," + plain),
        ]

    assert ["COMPLETED"] * 2 == [end["status"] for end in ends]


def test_image_that_is_none(sandbox: SandboxClient) -> None:
    """Base64 of something else is refused at once, with the field and the reason."""
    body = {**FOX, "start_image": base64.b64encode(b"text").decode()}
    answer = sandbox.call("POST", f"/v2/{TWO}", body)

    assert 400 == answer.status
    assert "start_image" in answer.json()["error"]


@pytest.mark.parametrize(
    ("slug", "change", "cost"),
    [
        (TURBO, {}, 0.44),
        (TURBO, {"duration": 10}, 0.88),
        (TWO, {}, 1.75),
        (TWO, {"duration": 10}, 3.50),
        (TEXT, {}, 0.28),
        (TEXT, {"duration": 10}, 0.56),
        (TEXT, {"mode": "pro"}, 0.98),
        (TEXT, {"mode": "pro", "duration": 10}, 1.96),
    ],
)
def test_prices(sandbox: SandboxClient, slug: str, change: dict[str, Any], cost: float) -> None:
    """Every combination has its price, and it is taken from the credits."""
    before = sandbox.server.renderer.book.credits
    metrics = made(sandbox, slug, **change)["metrics"]

    assert cost == metrics["cost"]
    assert before - cost == pytest.approx(metrics["remaining_credits"])
