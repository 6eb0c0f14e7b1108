"""The signed receiver: exactly 200 once the bytes are kept, refused and counted otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Bench
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import store
from service.errors import Busy
from service.ingest import Ingest
from service.model import Callback, Job, JobState
from service.signing import CallbackSigner
from service.web.app import create_app

MIB = 1024 * 1024


@pytest.fixture
def client(bench: Bench) -> FlaskClient:
    """The doors over the bench, for a provider: without a key."""
    return create_app(bench.wiring).test_client()


def path_of(bench: Bench, job_id: str, days: float = 30) -> str:
    """The path of this job's callback URL."""
    url = bench.wiring.signer.url_for(job_id, "apixo", bench.clock() + timedelta(days=days))
    return url.removeprefix(bench.wiring.settings.public_url)


def kept(bench: Bench, job: Job) -> list[Callback]:
    """The job's callbacks."""
    with bench.db.read() as tx:
        return store.callbacks.of_job(tx, job.id)


def refusals(bench: Bench) -> dict[str, int]:
    """The counts of refusals, once the writer has caught up."""
    bench.wiring.ingest.close()
    with bench.db.read() as tx:
        return store.callbacks.refusal_counts(tx)


@pytest.mark.parametrize(
    "body", [b'{"code": 200}', b"", b"\x00\xff", b"<html>", b"x" * MIB, "ключ".encode()]
)
def test_kept(client: FlaskClient, bench: Bench, body: bytes) -> None:
    """Any body is kept byte for byte with its headers, unjudged, and the job is not touched."""
    job = bench.new_job()
    answer = client.post(path_of(bench, job.id), data=body, headers={"X-Try": "1"})
    (found,) = kept(bench, job)

    assert 200 == answer.status_code
    assert (body, "apixo", 0) == (found.body, found.provider, found.repeats)
    assert ("1", bench.clock()) == (found.headers["X-Try"], found.received_at)
    assert JobState.QUEUED is bench.job(job).state
    assert {} == refusals(bench)


def test_repeats(client: FlaskClient, bench: Bench) -> None:
    """Identical bytes count on their row, for this job only; other bytes are another row."""
    job, other = bench.new_job(), bench.new_job()
    for body in (b"a", b"a", b"b", b"a"):
        assert 200 == client.post(path_of(bench, job.id), data=body).status_code
    client.post(path_of(bench, other.id), data=b"a")

    assert [(b"a", 2), (b"b", 0)] == sorted((c.body, c.repeats) for c in kept(bench, job))
    assert [0] == [callback.repeats for callback in kept(bench, other)]


def test_many_at_once(bench: Bench) -> None:
    """Of forty at once each gets its 200 and none is lost."""
    app, job = create_app(bench.wiring), bench.new_job()
    path = path_of(bench, job.id)
    bodies = [b"%d" % (n % 10) for n in range(40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: app.test_client().post(path, data=body), bodies))

    assert {200} == {answer.status_code for answer in answers}
    assert [3] * 10 == [callback.repeats for callback in kept(bench, job)]


def test_refusals(client: FlaskClient, bench: Bench) -> None:
    """Forged 401, expired 410, unknown 404, too large 413: each counted, nothing kept."""
    job = bench.new_job()
    path, late = path_of(bench, job.id), path_of(bench, job.id, days=-1)
    link = bench.wiring.links.url_for(job.id, bench.clock() + timedelta(days=1))
    forged = ["/callbacks/x", path[:-2], path + "A", path.replace("/ey", "/eY")]
    forged.append("/callbacks/" + link.rpartition("/")[2])
    expected = [(one, b"{}", 401) for one in forged] + [
        (late, b"{}", 410),
        (late, b"{}", 410),
        (path_of(bench, "job_" + "0" * 32), b"{}", 404),
        (path, b"x" * (MIB + 1), 413),
    ]
    answers = [client.post(where, data=body) for where, body, _ in expected]

    assert [status for _, _, status in expected] == [answer.status_code for answer in answers]
    assert {"application/problem+json"} == {answer.content_type for answer in answers}
    assert [] == kept(bench, job)
    assert JobState.QUEUED is bench.job(job).state
    assert {"bad_signature": 5, "expired": 2, "too_large": 1, "unknown_job": 1} == refusals(bench)


def test_expiry_to_the_second(client: FlaskClient, bench: Bench) -> None:
    """A URL works for its thirty days, and from a clock that is a little behind."""
    job = bench.new_job()
    path = path_of(bench, job.id)
    bench.clock.advance(-60)
    assert 200 == client.post(path, data=b"early").status_code
    bench.clock.advance(60 + 30 * 86_400)
    assert 200 == client.post(path, data=b"last").status_code
    bench.clock.advance(1)
    assert 410 == client.post(path, data=b"late").status_code


def test_old_key(bench: Bench) -> None:
    """A URL that an older secret key signed still works after a rotation."""
    job = bench.new_job()
    path = path_of(bench, job.id)
    signer = CallbackSigner(["n" * 40, "k" * 40], bench.wiring.settings.public_url)
    client = create_app(replace(bench.wiring, signer=signer)).test_client()

    assert 200 == client.post(path, data=b"{}").status_code


class FullIngest(Ingest):
    """A queue without room."""

    def keep(self, *args: Any, **kwargs: Any) -> None:
        """No room."""
        raise Busy("too many callbacks at once", retry_after=3)


def test_full_queue(bench: Bench) -> None:
    """Without room it is 503 and when to come again, never a false 200."""
    job = bench.new_job()
    app = create_app(replace(bench.wiring, ingest=FullIngest(bench.db)))
    answer = app.test_client().post(path_of(bench, job.id), data=b"{}")

    assert (503, "3") == (answer.status_code, answer.headers["Retry-After"])


def test_no_key_and_no_get(client: FlaskClient, bench: Bench) -> None:
    """A provider needs no key; only POST is taken."""
    path = path_of(bench, bench.new_job().id)

    assert [405, 405, 405] == [
        client.open(path, method=method).status_code for method in ("GET", "PUT", "DELETE")
    ]


@given(token=st.text(min_size=1), body=st.binary(max_size=64))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_token(client: FlaskClient, token: str, body: bytes) -> None:
    """Whatever is sent to the receiver, it refuses calmly."""
    answer = client.post(f"/callbacks/{quote(token, safe='')}", data=body)

    assert answer.status_code in (401, 404, 308)
