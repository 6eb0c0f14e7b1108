"""
Images on their way to a vendor: kept when they came inline, checked before money is spent.

An inline image is stored and becomes a URL of ours in the job. A
vendor that takes base64 gets the stored bytes; one that wants URLs
gets ours.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from service.catalogue.models import Model
from service.errors import BadToken, ForbiddenAddress, OutboundError, Refused
from service.media.image_formats import IMAGE_BYTES, BadImage, decode, is_url, kind_of
from service.model import Job, new_id
from service.outbound.client import Outbound
from service.signing import UrlSigner
from service.storage import FileMissing, Storage, StorageError

log = logging.getLogger(__name__)

#: As long as a callback URL lives, since a job may wait that long.
UPLOAD_TTL = timedelta(days=30)
FETCH_SECONDS = 20.0
REDIRECTS = 3


class UploadStore:
    """The store of images that were sent inside a request, served at ``/i/TOKEN``."""

    def __init__(self, storage: Storage, urls: UrlSigner) -> None:
        self._storage = storage
        self._urls = urls

    def save(self, model: Model, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Store every inline image of an input; returns the input with URLs of ours instead."""
        return _with_images(model, values, lambda image: self._keep(image, now))

    def file_name(self, token: str, now: datetime) -> str:
        """The stored file behind a token. Raises BadToken or ExpiredToken."""
        return str(self._urls.verify(token, now)["image"])

    def inlined(self, model: Model, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        """The input with our own URLs replaced by base64."""
        return _with_images(model, values, lambda image: self._inline(image, now))

    def delete(self, url: str, now: datetime) -> None:
        """Remove the image at a URL of ours."""
        # One whose link has ended is swept anyway.
        with suppress(BadToken):
            self._storage.delete(self.file_name(self._urls.token_in(url) or "", now))

    def holds(self, url: str) -> bool:
        """Whether the URL is one of ours."""
        return self._urls.token_in(url) is not None

    def _keep(self, image: str, now: datetime) -> str:
        if is_url(image):
            return image
        data, kind = decode(image)
        name = f"{new_id('img', now)}.{kind}"
        with self._storage.writing(name) as file:
            file.write(data)
        return self._urls.url_for(now + UPLOAD_TTL, image=name)

    def _inline(self, image: str, now: datetime) -> str:
        token = self._urls.token_in(image)
        if token is None:
            return image
        return base64.b64encode(self._storage.read(self.file_name(token, now))).decode()


def _with_images(
    model: Model, values: dict[str, Any], change: Callable[[str], str]
) -> dict[str, Any]:
    """A copy of the input with `change` applied to each of its images."""
    found = dict(values)
    for parameter in model.parameters:
        value = values.get(parameter.name)
        if parameter.kind == "image" and value:
            found[parameter.name] = change(value)
        elif parameter.kind == "images" and value:
            found[parameter.name] = [change(image) for image in value]
    return found


def images_of(model: Model, values: dict[str, Any]) -> list[str]:
    """The images of an input: URLs, data URIs or base64."""
    seen: list[str] = []

    def see(image: str) -> str:
        seen.append(image)
        return image

    _with_images(model, values, see)
    return seen


def check_images(
    outbound: Outbound, uploads: UploadStore, model: Model, job: Job, now: datetime
) -> None:
    """
    Look at every image that is named by a URL, before money is spent.

    That we cannot reach an address says little of the vendor, whose network is
    another: only what was seen counts against an image.

    Raises:
        Refused: the address is forbidden, has no image, or one that no vendor takes.
    """

    def look(url: str) -> str:
        if not uploads.holds(url):
            fetch_image(outbound, url)
        return url

    _with_images(model, job.input, look)
    with_inlined_images(uploads, model, job, now)


def fetch_image(outbound: Outbound, url: str) -> bytes | None:
    """The image at an address; None where nobody answers there. Raises Refused: it is none."""
    try:
        answer = outbound.call(
            "GET", url, seconds=FETCH_SECONDS, max_bytes=IMAGE_BYTES, redirects=REDIRECTS
        )
    except ForbiddenAddress as error:
        raise Refused("INVALID_IMAGE_URL", f"the image cannot be fetched: {error}") from error
    except OutboundError as error:
        log.warning("sent without a check of its image: %s", error)
        return None
    if answer.status >= 500:
        log.warning("sent without a check of its image: it answered %s", answer.status)
        return None
    if not 200 <= answer.status < 300:
        raise Refused("INVALID_IMAGE_URL", f"the image's address answered {answer.status}")
    if answer.truncated:
        raise Refused("IMAGE_TOO_LARGE", "the image is larger than 10 MB")
    try:
        kind_of(answer.body)
    except BadImage as error:
        raise Refused(error.code, str(error)) from error
    return answer.body


def with_inlined_images(uploads: UploadStore, model: Model, job: Job, now: datetime) -> Job:
    """The job as a vendor that takes base64 gets it. Raises Refused: an image cannot be read."""
    try:
        return replace(job, input=uploads.inlined(model, job.input, now))
    except (BadToken, FileMissing) as error:
        message = "the image that came with the job is no longer stored"
        raise Refused("INVALID_IMAGE_URL", message) from error
    except StorageError as error:
        raise Refused("PROVIDER_UNAVAILABLE", f"not sent: {error}") from error


def shown_body(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    """A vendor's request body for people: inline images are replaced by their length."""

    def short(image: str) -> str:
        return image if is_url(image) else f"<{len(image)} characters of base64>"

    if isinstance(body.get("input"), dict):
        return {**body, "input": _with_images(model, body["input"], short)}
    return _with_images(model, body, short)
