"""A server of one's own: which bodies it reads."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.harness import NOON
from support.reach import access
from support.sandboxes import png
from support.serving import QuietHandler, Served
from werkzeug.formparser import parse_form_data

from service.catalogue.models import model_of
from service.errors import Refused, Unanswered
from service.jobs.choice import Market
from service.jobs.requests import check_request, planned_job
from service.model import Job
from service.outbound.client import Outbound
from service.providers.videos import Videos
from service.settings import load_settings

IMAGE = png("#c82828")


class Own(Served):
    """Reads one kind of body; keeps the fields of what it has read, and serves an image."""

    def __init__(self) -> None:
        self.reads, self.refusal, self.form_status = "multipart/form-data", 422, 200
        self.kinds: list[str] = []
        self.fields: dict[str, Any] = {}
        server = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers["Content-Type"].partition(";")[0]
                server.kinds.append(kind)
                if kind != server.reads:
                    self._say(server.refusal, b'{"detail":[{"msg":"Field required"}]}')
                    return
                server.fields = self._read(body)
                self._say(server.form_status, b'{"id":"video_1","status":"queued"}')

            def do_GET(self) -> None:
                self._say(200, IMAGE)

            def _read(self, body: bytes) -> dict[str, Any]:
                if server.reads == "application/json":
                    return dict(json.loads(body))
                environ = {
                    "REQUEST_METHOD": "POST",
                    "CONTENT_TYPE": self.headers["Content-Type"],
                    "CONTENT_LENGTH": str(len(body)),
                    "wsgi.input": io.BytesIO(body),
                }
                _, form, files = parse_form_data(environ)
                found: dict[str, Any] = {**form}
                for name, file in files.items():
                    found[name] = (file.filename, file.mimetype, file.read())
                    file.close()
                return found

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.serve(Handler)


@pytest.fixture
def server() -> Iterator[Own]:
    """The server, listening."""
    with Own() as made:
        yield made


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    """May reach loopback."""
    made = Outbound(["127.0.0.0/8"])
    yield made
    made.close()


def job_for(**values: Any) -> Job:
    """A job as it is sent."""
    body = {"model": "videos", "input": {"prompt": "Ein Füchslein\r\n--x", **values}}
    asked = check_request(body, {}, Market({"videos"}, {}, NOON.date()))
    return planned_job(load_settings({}, secret_keys="k" * 40), "acc", asked, NOON)


def submit(server: Own, outbound: Outbound, folder: Path, job: Job) -> str:
    """The task that the server makes of it."""
    reach = access(outbound, server.origin, folder=folder, videos_models="own")
    model = model_of(job.model, job.provider)
    kept = replace(job, input=reach.uploads.save(model, job.input, NOON))
    return Videos(reach).submit(kept, "").task_id


@pytest.mark.parametrize("status", [415, 422])
def test_server_that_reads_forms_alone(
    server: Own, outbound: Outbound, tmp_path: Path, status: int
) -> None:
    """What it refused as JSON it gets once more, as OpenAI's libraries write it."""
    server.refusal = status
    expected = {"model": "own", "prompt": "Ein Füchslein\r\n--x"}
    expected |= {"seconds": "5", "size": "1280x720"}

    assert "video_1" == submit(server, outbound, tmp_path, job_for())
    assert ["application/json", "multipart/form-data"] == server.kinds
    assert expected == server.fields


@pytest.mark.parametrize("by_url", [False, True])
def test_image_in_a_form(server: Own, outbound: Outbound, tmp_path: Path, by_url: bool) -> None:
    """It goes as a file, whether it was uploaded here or lies elsewhere."""
    image = f"{server.origin}/a.png" if by_url else png_text()
    submit(server, outbound, tmp_path, job_for(input_reference=image))

    assert ("input_reference.png", "image/png", IMAGE) == server.fields["input_reference"]


def png_text() -> str:
    """The image as a caller sends it."""
    return base64.b64encode(IMAGE).decode()


def test_image_that_nobody_serves(server: Own, outbound: Outbound, tmp_path: Path) -> None:
    """Without its image a video is not made by a form."""
    with pytest.raises(Refused) as caught:
        submit(server, outbound, tmp_path, job_for(input_reference="http://127.0.0.1:9/a.png"))

    assert "IMAGE_DOWNLOAD_FAILED" == caught.value.code
    assert ["application/json"] == server.kinds


def test_server_that_reads_json(server: Own, outbound: Outbound, tmp_path: Path) -> None:
    """It gets one request."""
    server.reads = "application/json"

    assert "video_1" == submit(server, outbound, tmp_path, job_for())
    assert ["application/json"] == server.kinds


@pytest.mark.parametrize("status", [400, 401, 402, 404, 429])
def test_other_refusals(server: Own, outbound: Outbound, tmp_path: Path, status: int) -> None:
    """A server that has read the request is not asked again."""
    server.refusal = status
    with pytest.raises(Refused):
        submit(server, outbound, tmp_path, job_for())

    assert ["application/json"] == server.kinds


@pytest.mark.parametrize(("status", "error"), [(422, Refused), (500, Unanswered)])
def test_form_that_is_refused_too(
    server: Own, outbound: Outbound, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    """Its answer is the one that counts."""
    server.form_status = status
    with pytest.raises(error):
        submit(server, outbound, tmp_path, job_for())

    assert 2 == len(server.kinds)
