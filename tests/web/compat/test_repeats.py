"""Creates that clients repeat by themselves, without any key: one job each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openai import OpenAI
from support.dropping_proxy import DroppingProxy
from support.harness import Harness
from support.node import need_node, npm_install, run
from support.servers import Clipbell, eventually, http_call
from werkzeug.test import TestResponse

from service.accounts import SCOPES, create_key
from service.web.app import create_app

CLIENTS = Path(__file__).parent / "clients"
VIDEOS = "/v1/videos"
FOX: dict[str, Any] = {"model": "kling-2", "prompt": "A fox"}
JOB: dict[str, Any] = {"model": "kling-2", "input": {"prompt": "A fox"}}


@pytest.fixture
def app(harness: Harness) -> Flask:
    """The app over the harness."""
    return create_app(harness.wiring)


@pytest.fixture
def client(app: Flask, harness: Harness) -> FlaskClient:
    """The app, as alice."""
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = harness.key
    return client


def tried(
    client: FlaskClient,
    count: int,
    *,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> TestResponse:
    """A create that says how often it was tried before: a form, or JSON with these fields."""
    counted = {"x-stainless-retry-count": str(count)} | (headers or {})
    body: dict[str, Any] = {"json": FOX | fields} if data is None else {"data": data}
    return client.post(VIDEOS, headers=counted, **body)


def ids(*answers: TestResponse) -> list[str]:
    """The ids in answers that were all good."""
    assert {200, 202} >= {answer.status_code for answer in answers}, answers[-1].text
    return [answer.get_json()["id"] for answer in answers]


@pytest.mark.postgresql
class TestOneCreate:
    """What counts as the same create."""

    def test_a_repeat_gets_the_first_ones_job(self, client: FlaskClient) -> None:
        """However often it is repeated; only repeats are marked as replays."""
        answers = [tried(client, count) for count in (0, 1, 2)]

        assert 1 == len(set(ids(*answers)))
        assert [None, "true", "true"] == [a.headers.get("Idempotency-Replayed") for a in answers]

    def test_first_tries_are_creates_of_their_own(self, client: FlaskClient) -> None:
        """Who asks twice for the same gets two videos."""
        assert 2 == len(set(ids(tried(client, 0), tried(client, 0))))

    def test_each_repeat_finds_its_own(self, client: FlaskClient) -> None:
        """Two equal creates at once, both repeated: each client keeps a job of its own."""
        first = ids(tried(client, 0), tried(client, 0))
        again = ids(tried(client, 1), tried(client, 1))

        assert first == again

    @pytest.mark.parametrize(
        "other",
        [{"prompt": "A hare"}, {"seconds": "10"}, {"size": "720x1280"}, {"metadata": {"a": "b"}}],
    )
    def test_other_fields_are_another_create(
        self, client: FlaskClient, other: dict[str, Any]
    ) -> None:
        """One field that differs is enough."""
        assert 2 == len(set(ids(tried(client, 0), tried(client, 1, **other))))

    def test_boundaries_do_not_matter(self, client: FlaskClient) -> None:
        """Forms are compared by fields and by the bytes of files."""

        def form(count: int, boundary: str, byte: bytes) -> TestResponse:
            lines = ["model", "kling-2", "prompt", "A fox"]
            body = b"".join(
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                f"{value}\r\n".encode()
                for name, value in zip(lines[::2], lines[1::2], strict=True)
            )
            body += (
                f'--{boundary}\r\nContent-Disposition: form-data; name="input_reference"; '
                f'filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
            ).encode()
            body += b"\xff\xd8\xff" + byte + f"\r\n--{boundary}--\r\n".encode()
            kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            return tried(client, count, data=body, headers=kind)

        same = ids(form(0, "one", b"a"), form(1, "two", b"a"))
        other = ids(form(1, "two", b"b"))

        assert 1 == len(set(same))
        assert set(same).isdisjoint(other)

    def test_other_key_or_path(self, harness: Harness, client: FlaskClient) -> None:
        """Neither another key of the account nor another API repeats a create."""
        with harness.db.write() as tx:
            key = create_key(tx, harness.account.id, "second", SCOPES, harness.clock())
        first = tried(client, 0)
        others = [
            tried(client, 1, headers={"x-api-key": key}),
            client.post("/v1/jobs", json=JOB, headers={"x-stainless-retry-count": "1"}),
        ]

        assert 3 == len(set(ids(first, *others)))

    @pytest.mark.parametrize(
        ("path", "body"), [("/v1/jobs", JOB), ("/v2/kling-2", {"prompt": "A fox"})]
    )
    def test_other_apis_too(self, client: FlaskClient, path: str, body: dict[str, Any]) -> None:
        """The same holds for every create."""
        headers = [{"x-stainless-retry-count": count} for count in ("0", "1")]
        answers = [client.post(path, json=body, headers=one) for one in headers]
        bodies = [answer.get_json() for answer in answers]

        assert 1 == len({body.get("id") or body["request_id"] for body in bodies})
        assert "true" == answers[1].headers["Idempotency-Replayed"]

    def test_ten_minutes(self, harness: Harness, client: FlaskClient) -> None:
        """A repeat after ten minutes is no repeat; the rows go with the time."""
        (first,) = ids(tried(client, 0))
        harness.clock.advance(600)
        (late,) = ids(tried(client, 1))
        harness.clock.advance(1)
        (too_late,) = ids(tried(client, 2))

        assert first == late
        assert first != too_late

    def test_a_key_wins(self, client: FlaskClient) -> None:
        """With an Idempotency-Key of the user's own, that alone decides."""
        keys = [{"Idempotency-Key": name} for name in ("one", "two")]
        answers = [tried(client, count, headers=keys[count]) for count in (0, 1)]

        assert 2 == len(set(ids(*answers)))

    def test_overtaken(self, harness: Harness, client: FlaskClient) -> None:
        """A first try that its own repeat overtook gets the repeat's job; the next one does not."""
        (repeat,) = ids(tried(client, 1))
        (first,) = ids(tried(client, 0))
        (next_one,) = ids(tried(client, 0))

        assert repeat == first
        assert first != next_one

    def test_refused_tries_leave_nothing(self, client: FlaskClient) -> None:
        """What was refused is judged again when it is repeated."""
        assert [400, 400] == [tried(client, count, seconds="4").status_code for count in (0, 1)]

    def test_at_the_same_moment(self, app: Flask, harness: Harness) -> None:
        """Try and repeat in two threads at once are one job, each time."""
        for number in range(10):
            meeting = threading.Barrier(2)

            def send(count: int, number: int = number, meeting: threading.Barrier = meeting) -> str:
                client = app.test_client()
                client.environ_base["HTTP_X_API_KEY"] = harness.key
                meeting.wait(10)
                return ids(tried(client, count, prompt=f"Fox {number}"))[0]

            with ThreadPoolExecutor(2) as pool:
                assert 1 == len(set(pool.map(send, (0, 1))))


@pytest.fixture(scope="module")
def clipbell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clipbell]:
    """A web process without a worker: jobs are made, and none is sent."""
    with Clipbell(tmp_path_factory.mktemp("repeats"), "http://127.0.0.1:9") as made:
        made.start_web()
        eventually(lambda: _answers(made))
        yield made


def _answers(clipbell: Clipbell) -> bool:
    try:
        return http_call("GET", f"{clipbell.url}/healthz").status == 200
    except OSError:
        return False


@pytest.fixture
def proxy(clipbell: Clipbell) -> Iterator[DroppingProxy]:
    """A proxy in front of it that loses the answer to each first try."""
    with DroppingProxy(clipbell.url) as made:
        yield made


def account(clipbell: Clipbell, request: pytest.FixtureRequest) -> Clipbell:
    """The same, as an account that has nothing yet."""
    return clipbell.as_account(request.node.name)


def all_jobs(clipbell: Clipbell) -> list[str]:
    """The ids of all jobs of the account."""
    found: list[str] = []
    following: str | None = ""
    while following is not None:
        cursor = f"&cursor={following}" if following else ""
        page = clipbell.call("GET", f"/v1/jobs?limit=100{cursor}").json()
        found += [job["id"] for job in page["data"]]
        following = page["next_cursor"]
    return found


COUNTS = [20, pytest.param(1000, marks=pytest.mark.slow)]


@pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
@pytest.mark.parametrize("count", COUNTS)
def test_python_library(
    clipbell: Clipbell, proxy: DroppingProxy, request: pytest.FixtureRequest, count: int
) -> None:
    """So many creates of the library of PyPI, each answer lost once: as many jobs."""
    alice = account(clipbell, request)
    with OpenAI(api_key=alice.key, base_url=f"{proxy.origin}/v1") as openai:

        def create(number: int) -> str:
            return openai.videos.create(model="kling-2", prompt=f"Fox {number}").id

        with ThreadPoolExecutor(16) as pool:
            made = list(pool.map(create, range(count)))

    assert (count, count) == (len(set(made)), proxy.dropped)
    assert set(made) == set(all_jobs(alice))


@pytest.mark.parametrize("count", COUNTS)
def test_node_library(
    clipbell: Clipbell,
    proxy: DroppingProxy,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    count: int,
) -> None:
    """The same with the library of npm."""
    need_node(20)
    npm_install(tmp_path, "openai")
    alice = account(clipbell, request)
    (tmp_path / "creates.mjs").write_text((CLIENTS / "creates.mjs").read_text())
    environ = {"OPENAI_BASE_URL": f"{proxy.origin}/v1", "OPENAI_API_KEY": alice.key}
    made = json.loads(run(["node", "creates.mjs", str(count)], tmp_path, **environ))

    assert (count, count) == (len(set(made)), proxy.dropped)
    assert set(made) == set(all_jobs(alice))
