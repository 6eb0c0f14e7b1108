"""Images: kept when inline, looked at before money is spent, as each vendor takes them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from support.harness import Harness
from support.sandboxes import Pictures, SandboxClient, png

from service.catalogue.models import MODELS
from service.catalogue.validation import check_input
from service.errors import InvalidInput, Refused
from service.media.image_formats import BadImage, decode, kind_of
from service.model import JobState
from service.storage.uploads import check_images
from service.web.app import create_app

RED = png("#c81e1e")
TURBO = MODELS["kling-2.5-turbo"]


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    """A server of pictures, good and bad."""
    too_large = b"\xff\xd8\xff" + b"0" * (10 * 1024 * 1024)
    with Pictures(RED, b"<html>", too_large) as server:
        yield server


@pytest.fixture
def settings_given(sandbox: SandboxClient) -> dict[str, Any]:
    """Both vendors are the sandbox."""
    return {"apixo_base_url": sandbox.server.url, "segmind_base_url": sandbox.server.url}


@pytest.mark.parametrize("uri", [True, False])
def test_inline_images_become_urls_of_ours(harness: Harness, uri: bool) -> None:
    """Base64 and data URIs are kept as files and served to whoever has the link."""
    text = base64.b64encode(RED).decode()
    given = {"prompt": "A fox", "image_url": f"data:image/png;base64,{text}" if uri else text}
    values = check_input(TURBO, given)
    kept = harness.wiring.uploads.save(TURBO, values, harness.clock())
    path = kept["image_url"].removeprefix(harness.wiring.settings.public_url)
    with create_app(harness.wiring).test_client().get(path) as answer:
        served = (answer.mimetype, answer.get_data())

    assert path.startswith("/i/")
    assert ("image/png", RED) == served
    assert text == harness.wiring.uploads.inlined(TURBO, kept, harness.clock())["image_url"]


LETTERS = base64.b64encode(b"\xff\xd8\xff\xfb\xf0\xff\xd9" * 20).decode()
IN_LINES = "\r\n".join([LETTERS[:76], LETTERS[76:], ""])


@pytest.mark.parametrize(
    "text",
    [
        LETTERS,
        IN_LINES,
        LETTERS.rstrip("="),
        LETTERS.translate(str.maketrans("+/", "-_")),
        f"data:;base64,{LETTERS}",
        f"DATA:image/jpeg;charset=utf-8;BASE64,{LETTERS}",
        f"data:application/octet-stream;base64,\n{IN_LINES}",
        f"data:image/jpeg;base64,{quote(LETTERS, safe='')}",
    ],
)
def test_base64_as_programs_write_it(text: str) -> None:
    """Base64 in lines, without padding or in letters of URLs, and any media type, is the image."""
    assert (base64.b64decode(LETTERS), "jpg") == decode(text)


def test_segmind_gets_base64(harness: Harness, sandbox: SandboxClient) -> None:
    """An inline image reaches Segmind as base64, though the job names a URL of ours."""
    text = base64.b64encode(RED).decode()
    values = check_input(TURBO, {"prompt": "A fox", "image_url": text})
    kept = harness.wiring.uploads.save(TURBO, values, harness.clock())
    job = harness.new_job(model="kling-2.5-turbo", input=kept)
    request = harness.wiring.providers["segmind"].request_for(job, "")

    assert job.input["image_url"].startswith("http")
    assert text == request.body["image_url"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("toB64('null')", "invalid_image_url"),
        ("ftp://example.com/a.png", "invalid_image_url"),
        (base64.b64encode(b"GIF89a......").decode(), "unsupported_format"),
        ("A" * (14 * 1024 * 1024), "image_too_large"),
        ("https://example.com/a b.png", "invalid_image_url"),
    ],
)
def test_bad_inline_images_are_refused_at_once(given: str, code: str) -> None:
    """What is no image is a fault of its field before any job exists."""
    with pytest.raises(InvalidInput) as caught:
        check_input(TURBO, {"prompt": "A fox", "image_url": given})

    assert [("/input/image_url", code)] == [(f.pointer, f.code) for f in caught.value.faults]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\xff\xd8\xff\xe0\xff\xd9", "jpg"), (RED, "png"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp")],
)
def test_kinds(data: bytes, kind: str) -> None:
    """JPG, PNG and WebP are known by their first bytes."""
    assert kind == kind_of(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_off(kind: str) -> None:
    """What surely breaks off is refused before a vendor is paid for it; what follows is ignored."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(file, kind)
    whole = file.getvalue()

    assert kind_of(whole) == kind_of(whole + b"\r\n") == kind.lower().replace("jpeg", "jpg")
    for part in (whole[:12], whole[: len(whole) // 2], whole[:-13]):
        with pytest.raises(BadImage, match="breaks off"):
            kind_of(part)


def test_other_kinds() -> None:
    """Nothing else is taken, whatever it is called."""
    for data in (b"", b"GIF89a", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(BadImage):
            kind_of(data)


def look(harness: Harness, url: str) -> None:
    """Look at a job's image as the worker does before it sends."""
    job = harness.new_job(model="kling-2", input={"prompt": "A fox", "start_image": url})
    w = harness.wiring
    check_images(w.outbound, w.uploads, MODELS["kling-2"], job, harness.clock())


def test_seen_images(harness: Harness, pictures: Pictures) -> None:
    """What is seen at the address counts: a picture passes, anything else is refused."""
    look(harness, pictures.url(0))
    found = []
    for place in (1, 2):
        with pytest.raises(Refused) as caught:
            look(harness, pictures.url(place))
        found.append(caught.value.code)

    assert ["UNSUPPORTED_FORMAT", "IMAGE_TOO_LARGE"] == found


def test_address_without_image(harness: Harness, sandbox: SandboxClient) -> None:
    """An address that has nothing is refused before the vendor is asked."""
    with pytest.raises(Refused) as caught:
        look(harness, f"{sandbox.server.url}/nowhere.png")

    assert "INVALID_IMAGE_URL" == caught.value.code


def test_forbidden_addresses(harness: Harness) -> None:
    """An image at a private address is never fetched for anybody."""
    with pytest.raises(Refused) as caught:
        look(harness, "http://10.1.2.3/secret.png")

    assert "INVALID_IMAGE_URL" == caught.value.code


def test_out_of_reach_is_left_to_the_vendor(harness: Harness) -> None:
    """That we cannot reach an address is no verdict on the image."""
    look(harness, "http://127.0.0.1:9/a.png")


def test_refused_image_costs_nothing(
    harness: Harness, sandbox: SandboxClient, pictures: Pictures
) -> None:
    """A job with a bad image ends as failed before the vendor hears of it."""
    before = len(sandbox.server.renderer.book.all())
    values = {"prompt": "A fox", "start_image": pictures.url(1)}
    job = harness.new_job(model="kling-2", input=values)
    harness.drain("submit")
    done = harness.job(job)

    assert (JobState.FAILED, "UNSUPPORTED_FORMAT") == (done.state, (done.error or {})["code"])
    assert before == len(sandbox.server.renderer.book.all())
