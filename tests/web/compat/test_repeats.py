"""Creates that clients repeat by themselves, without any key: one job each."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.harness import Harness
from werkzeug.test import TestResponse

from service.accounts import SCOPES, create_key
from service.web.app import create_app
from service.web.limits import Limits

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
    given_up: bool = False,
    **fields: Any,
) -> TestResponse:
    """
    A create that says how often it was tried before: a form, or JSON with these fields.

    Whoever has `given_up` has closed the connection by now.
    """
    counted = {"x-stainless-retry-count": str(count)} | (headers or {})
    body: dict[str, Any] = {"json": FOX | fields} if data is None else {"data": data}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if given_up:
            theirs.close()
        return client.post(
            VIDEOS, headers=counted, environ_overrides={"gunicorn.socket": ours}, **body
        )


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
            body += b"\xff\xd8\xff" + byte + b"\xff\xd9" + f"\r\n--{boundary}--\r\n".encode()
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

    @pytest.mark.parametrize("count", [0, 1])
    def test_overtaken(self, client: FlaskClient, count: int) -> None:
        """A try that its own repeat overtook gets the repeat's job; who still waits does not."""
        (repeat,) = ids(tried(client, count + 1))
        (late,) = ids(tried(client, count, given_up=True))
        (other,) = ids(tried(client, 0))

        assert repeat == late
        assert repeat != other

    def test_as_many_jobs_as_creates(self, client: FlaskClient) -> None:
        """A repeat that finds no try of its own gets a job of its own: none is shared."""
        (first,) = ids(tried(client, 0))
        repeats = ids(*(tried(client, 1) for _ in range(3)))

        assert first == repeats[0]
        assert 3 == len(set(repeats))

    def test_chains(self, client: FlaskClient) -> None:
        """A third try follows the second one of its create, not the first one of another."""
        first, second = ids(tried(client, 0), tried(client, 0))
        repeated = ids(tried(client, 1), tried(client, 2), tried(client, 1))

        assert [first, first, second] == repeated

    @pytest.mark.parametrize("counts", [(0,), (0, 1)])
    def test_refused_tries(self, client: FlaskClient, counts: tuple[int, ...]) -> None:
        """A create that was refused is made when it is repeated, whoever has asked for the same."""
        limits = client.application.extensions["limits"]
        (other,) = ids(tried(client, 0))
        client.application.extensions["limits"] = Limits(key=0)
        refused = [tried(client, count).status_code for count in counts]
        client.application.extensions["limits"] = limits
        made, again = ids(tried(client, len(counts)), tried(client, len(counts) + 1))
        (others,) = ids(tried(client, 1))

        assert [429] * len(counts) == refused
        assert made == again
        assert other == others
        assert made != other

    def test_refused_repeat(self, client: FlaskClient) -> None:
        """A repeat that was refused changes nothing: the next one finds the first one's job."""
        limits = client.application.extensions["limits"]
        (first,) = ids(tried(client, 0))
        client.application.extensions["limits"] = Limits(key=0)
        refused = tried(client, 1).status_code
        client.application.extensions["limits"] = limits

        assert (429, [first]) == (refused, ids(tried(client, 2)))

    def test_invalid_tries_leave_nothing(self, client: FlaskClient) -> None:
        """What is wrong is judged again when it is repeated."""
        assert [400, 400] == [tried(client, count, seconds="4").status_code for count in (0, 1)]

    def test_at_the_same_moment(self, app: Flask, harness: Harness) -> None:
        """A try that was given up and its repeat, in two threads at once, are one job each time."""
        for number in range(10):
            meeting = threading.Barrier(2)

            def send(count: int, number: int = number, meeting: threading.Barrier = meeting) -> str:
                client = app.test_client()
                client.environ_base["HTTP_X_API_KEY"] = harness.key
                meeting.wait(10)
                found = tried(client, count, given_up=count == 0, prompt=f"Fox {number}")
                return ids(found)[0]

            with ThreadPoolExecutor(2) as pool:
                assert 1 == len(set(pool.map(send, (0, 1))))
